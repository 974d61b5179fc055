package admission

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	// hover is the part of the rate that was found that is used.
	hover = 0.985
	// longPause is the Retry-After from which the circuit breaker pauses all calls.
	longPause = 5 * time.Second
	// wholeSecond is the shortest Retry-After. It means anything up to a second. So if the API accepted calls just before, single
	// calls ask from time to time whether it is over; see checks. A longer one is obeyed to the end.
	wholeSecond = time.Second
	// A climb looks for what the API allows. The rate grows by climbPart and by climbStep in each second, if the calls of the last
	// climbTime reached it. The step is the same for all workers, so that unequal ones draw near to each other; but a rate
	// below climbStep / climbSteps has a smaller one.
	climbPart  = 0.5
	climbStep  = 500.0
	climbSteps = 8.0
	climbTime  = 300 * time.Millisecond
	// leastGuess is what a worker begins with whose first calls are refused: it knows nothing then.
	leastGuess = 20.0
	// A climb ends at burstPart of what was accepted in its last climbLook. The rest was the burst that most APIs allow.
	burstPart = 0.88
	climbLook = 500 * time.Millisecond
	// leastAccepted is how many calls there must have been in that time. Fewer say nothing of what the API allows: few events came.
	leastAccepted = 2
	// settleTime is how long a rate that was just found must hold.
	settleTime = 3 * time.Second
	// A refusal takes between leastCut and mostCut from a rate that was thought to be good.
	leastCut, mostCut = 0.03, 0.3
	// probeInterval is how often it is tried whether the API allows more by now. A climb begins then, from probeFrom of the rate.
	probeInterval = 5 * time.Second
	probeFrom     = 0.75
	// used is the part of the rate that must be used for it to grow.
	used = 0.8
	// pauseSpread is the part of a pause by which it is made longer at most, so that a fleet does not come back in step.
	pauseSpread = 0.05
	// leastRate is one call in ten seconds.
	leastRate = 0.1
	// statedTime is how long a rate that an answer stated holds. The API may have stopped stating it because it limits no more.
	statedTime = 10 * time.Second
	// rateLook is how far back a rate is measured.
	rateLook = 3 * time.Second
)

// checks are the parts of a whole second after which one call asks whether the API accepts calls again.
var checks = [...]float64{0.1, 0.3, 0.6, 1}

// phase is what a Rate is doing.
type phase int

const (
	unlimited phase = iota // no rate is known
	climbing               // the rate grows until it is refused
	settling               // it was found just now
	steady
)

// Rate is the rate of calls that the API was found to allow. It takes a refusal (429, or 503 with a Retry-After) for a measurement,
// as the adaptive retry mode of the AWS SDKs does. But it goes on just below what was accepted, and rarely tries for more. It
// is pure: it has no clock and no lock.
type Rate struct {
	phase    phase
	rate     float64        // calls per second, unless unlimited
	since    time.Time      // when the phase began
	paused   time.Time      // no calls until then
	lasted   time.Duration  // the last pause
	checking bool           // one call must be accepted before there are more
	began    time.Time      // of the pause
	check    int            // how many calls were refused since
	round    int64          // of probeInterval, by the wall clock: a whole fleet probes at the same time
	stated   float64        // what the API's own answers state; 0 for nothing
	statedAt time.Time      // when one did last
	random   func() float64 // from 0 to 1
	accepted ring
}

// NewRate returns one that knows no limit yet.
func NewRate() *Rate { return &Rate{random: rand.Float64} }

// Refused takes a refusal that asks for a pause into account.
func (r *Rate) Refused(now time.Time, wait time.Duration) {
	switch {
	case now.Before(r.paused):
		return // it was under way
	case r.checking:
		r.check++
		r.pause(now, wait)
		return
	}
	r.advance(now)
	held := min(now.Sub(r.since), rateLook)
	switch r.phase {
	case unlimited:
		r.guess(now)
	case climbing:
		look := min(max(now.Sub(r.paused), ringBucket), climbLook)
		accepted := r.accepted.rate(now, look)
		found := burstPart * accepted
		if accepted*look.Seconds() < leastAccepted {
			found = max(found, (1-mostCut)*r.rate)
		}
		r.become(settling, now, min(r.rate, found))
	case settling, steady:
		// The truth is between the rate since the last pause, in which a burst may be hidden, and that with the pause.
		high := r.accepted.rate(now, held)
		low := high * held.Seconds() / (held + r.lasted).Seconds()
		r.become(settling, now, min(max(math.Sqrt(low*high), (1-mostCut)*r.rate), (1-leastCut)*r.rate))
	}
	r.began, r.check = now, 0
	r.pause(now, wait)
}

// States takes what the API's own answer states into account: a rate that saves the probing, and a pause, 0 for none, until it
// has calls to give again.
func (r *Rate) States(now time.Time, perSecond float64, pause time.Duration) {
	r.stated, r.statedAt = perSecond, now
	if perSecond > 0 && r.phase == unlimited {
		r.become(steady, now, hover*perSecond)
	}
	if until := now.Add(min(pause, maxPause)); pause > 0 && until.After(r.paused) {
		r.paused = until
	}
}

// guess begins to climb from between what was accepted in the last second, and what would have been at the pace of its busy
// part. A burst that the API allows makes the second of these too high, and an idle time before makes the first too low.
func (r *Rate) guess(now time.Time) {
	low, busy := r.accepted.rate(now, time.Second), r.accepted.busy(now, time.Second)
	r.become(climbing, now, max(low*math.Sqrt(time.Second.Seconds()/busy.Seconds()), leastGuess))
}

// pause stops calls until one may ask again.
func (r *Rate) pause(now time.Time, wait time.Duration) {
	until := now.Add(wait)
	if wait <= wholeSecond && r.check < len(checks) && r.accepted.rate(now, rateLook) > 0 {
		until = r.began.Add(time.Duration(checks[r.check] * float64(wait)))
	}
	r.checking = true
	r.paused = until.Add(time.Duration(pauseSpread * r.random() * float64(until.Sub(now))))
	r.lasted = r.paused.Sub(r.began)
	if r.phase != steady {
		r.since = r.paused
	}
}

func (r *Rate) become(p phase, now time.Time, rate float64) {
	r.phase, r.since, r.rate = p, now, max(rate, leastRate)
}

// Accepted counts a call that the API did not refuse for its rate.
func (r *Rate) Accepted(now time.Time) {
	r.accepted.add(now)
	if !now.Before(r.paused) {
		r.checking = false
	}
}

// advance lets the time pass.
func (r *Rate) advance(now time.Time) {
	if now.Sub(r.statedAt) > statedTime {
		r.stated = 0
	}
	in := now.Sub(r.since)
	switch r.phase {
	case climbing:
		if in > 0 && r.reached(now, climbTime) {
			r.rate += (r.rate*climbPart + min(climbStep, r.rate*climbSteps)) * in.Seconds()
			r.since = now
		} else if in > climbTime {
			r.since = now
		}
	case settling:
		if in >= settleTime {
			r.become(steady, now, r.rate)
		}
	case steady:
		round, since := now.UnixNano()/int64(probeInterval), time.Duration(now.UnixNano()%int64(probeInterval))
		if round != r.round {
			known := r.stated > 0 && r.rate >= hover*r.stated
			if r.round = round; !known && since < time.Second && r.reached(now, time.Second) {
				r.become(climbing, now, probeFrom*r.rate)
			}
		}
	}
}

// reached reports whether the rate was used in the last d, but for one call.
func (r *Rate) reached(now time.Time, d time.Duration) bool {
	return (r.accepted.rate(now, d)-used*r.rate)*d.Seconds() >= -1
}

// Now is how many calls a second may be made now; +Inf while no limit is known. For none, it tells how long until asking again
// makes sense.
func (r *Rate) Now(now time.Time) (perSecond float64, wait time.Duration) {
	if wait = r.paused.Sub(now); wait > 0 {
		return 0, wait
	}
	r.advance(now)
	rate := r.rate
	switch r.phase {
	case unlimited:
		rate = math.Inf(1)
	}
	if r.stated > 0 {
		rate = min(rate, hover*r.stated)
	}
	return rate, 0
}

// Checking reports whether one call must be accepted before there are more.
func (r *Rate) Checking() bool { return r.checking }

// Learned is the rate that was found; 0 while there is none.
func (r *Rate) Learned() float64 {
	if r.phase == unlimited {
		return 0
	}
	return r.rate
}

const ringBucket = 100 * time.Millisecond

// ring counts calls in the tenths of the last three seconds.
type ring struct {
	last int64 // the bucket that was counted last
	n    [32]int
}

func (r *ring) pass(now time.Time) (bucket int64) {
	bucket = now.UnixNano() / int64(ringBucket)
	for r.last = max(r.last, bucket-int64(len(r.n))); r.last < bucket; {
		r.last++
		r.n[r.last%int64(len(r.n))] = 0
	}
	return r.last
}

func (r *ring) add(now time.Time) { r.n[r.pass(now)%int64(len(r.n))]++ }

// rate is how many calls a second there were in the last d.
func (r *ring) rate(now time.Time, d time.Duration) float64 {
	last, n := r.pass(now), 0
	in := time.Duration(now.UnixNano() % int64(ringBucket)) // of the present bucket
	buckets := min(int64((d-in)/ringBucket), int64(len(r.n))-1)
	for k := range max(buckets, 0) + 1 {
		n += r.n[(last-k)%int64(len(r.n))]
	}
	return float64(n) / (time.Duration(max(buckets, 0))*ringBucket + in).Seconds()
}

// busy is how long in the last d calls were accepted.
func (r *ring) busy(now time.Time, d time.Duration) time.Duration {
	last, busy := r.pass(now), ringBucket
	for k := range int64(d / ringBucket) {
		if r.n[(last-k)%int64(len(r.n))] > 0 {
			busy = max(busy, time.Duration(k+1)*ringBucket)
		}
	}
	return min(busy, d)
}

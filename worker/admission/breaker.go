package admission

import (
	"math"
	"math/rand/v2"
	"time"

	"revoker/worker/retry"
)

// State is a circuit breaker's state.
type State string

// The states of a circuit breaker.
const (
	Closed   State = "closed"    // calls are made
	Open     State = "open"      // none are made
	HalfOpen State = "half-open" // a few calls probe the API
)

const (
	// probeFailures is how many probes must fail, one after the other, before the breaker opens again: one alone may have met
	// one of the sessions that fail by themselves.
	probeFailures = 2
	// After a bad opinion a delivery probes too in the first rounds, and later in each of so many: both ends of the queue may fail by
	// themselves while the API works. It is rare, because it costs a delivery.
	firstRounds, laterRounds = 3, 8
	// fruitlessProbes is how many deliveries may turn out not to probe anything, an invalid event for example.
	fruitlessProbes = 8
	// maxTrust bounds the doubling of the threshold; see breaker.trust.
	maxTrust = 5
	// trustTime is how long a good opinion is trusted while sessions go on failing in a row.
	trustTime = 5 * time.Second
	// growTime is the same while slots are missing, which a good opinion brings back.
	growTime = time.Second
	// flapWindow is how soon after closing an opening counts as the same outage.
	flapWindow = 10 * time.Second
	// maxPause is the longest time without a probe, whatever a Retry-After says.
	maxPause = 5 * time.Minute
	// pauseJitter spreads the end of a Retry-After over a fleet: each worker waits up to so much longer.
	pauseJitter = 0.2
	// suspicionPause is for how long a delivery is handed back that came during a suspicion.
	suspicionPause = 100 * time.Millisecond
)

// Breaker decides whether calls are made. It is a pure state machine: it has no clock, no lock and no goroutine; whoever owns
// it passes the time.
//
// When enough sessions in a row failed, with no success between, either the API is at fault or these sessions are. The head
// of the queue can't tell. So the breaker suspects: it asks for a second opinion, a call for a session from the other end of
// the queue (see Worker.sample). If that succeeds the sessions are at fault and work goes on. If not, it opens. It opens at
// once on a refusal that any call would get.
//
// Open, it goes half-open after a while. First comes another opinion, which costs no delivery; then one delivery after the
// other. One success closes it, a few failures open it again.
//
// Each change of state begins a new generation. Results of calls that began in an earlier one change nothing, because they
// say how the API was.
type Breaker struct {
	threshold int
	interval  time.Duration // of the first probe
	maximum   time.Duration
	brakeAt   int // sessions in a row that the API rejects with CALLER_ERROR; 0 for no brake
	limit     *Limit

	state      State
	generation uint64
	reason     string
	misconfig  bool // an operator must act
	refused    bool // opened by a refusal: one call is enough to see whether it still holds
	braked     bool // opened by CALLER_ERROR for many sessions in a row

	failed   map[string]struct{} // closed: sessions that failed since the last success
	rejected map[string]struct{} // closed: sessions that got CALLER_ERROR since the last OK
	released bool                // an operator took the brake off; it holds until the next OK
	// trust counts the good opinions since the last success. Each doubles the threshold, so that a long block of failing
	// sessions costs few opinions.
	trust    int
	distrust bool      // the last opinion was bad, after good ones
	opined   time.Time // when it came
	good     time.Time // when the last good one came

	asking    bool          // an opinion is being asked for
	suspected bool          // half-open, but it was not open before
	opened    bool          // it was open since it was last closed
	calling   int           // calls in flight when the suspicion or the opening came
	since     time.Time     // open and half-open: when it opened first
	closed    time.Time     // when it closed last
	until     time.Time     // open: when the next probe is due
	next      time.Duration // open and half-open: how long to stay open if the probe fails
	round     int           // open and half-open: how often it was half-open
	probing   int           // half-open: deliveries that are out to probe
	misses    int           // half-open: probes that failed
	fruitless int           // half-open: deliveries that probed nothing
}

// NewBreaker returns one that suspects the API after so many sessions failed in a row, and brakes after so many got CALLER_ERROR.
func NewBreaker(threshold, brakeAt int, limit *Limit, interval, maximum time.Duration) *Breaker {
	return &Breaker{
		threshold: threshold, interval: interval, maximum: maximum, brakeAt: brakeAt, limit: limit,
		state: Closed, failed: map[string]struct{}{}, rejected: map[string]struct{}{},
	}
}

// Verdict is what a result says about the API.
type Verdict int

// The verdicts.
const (
	SaysNothing Verdict = iota // there was no call, or its failure concerns one service alone
	Working                    // OK
	Rejecting                  // CALLER_ERROR: it works, but something may be wrong for all sessions
	Failing                    // SERVER_ERROR, no answer, or none that can be read
	Refusing                   // any call would be refused, or is asked to wait
)

// Result is how one call ended.
type Result struct {
	Generation uint64
	Verdict    Verdict
	Session    string        // tells sessions apart
	Reason     string        // of a failure, for the log
	Misconfig  bool          // an operator must act on the refusal
	Wait       time.Duration // Retry-After; 0 for none
	Throttled  bool          // all calls are asked to wait, because there are too many

	Took  time.Duration // of the call; 0 if there was none
	Ended Ended

	Stated      float64       // calls per second that the answer states as allowed; 0 for nothing
	StatedPause time.Duration // how long the answer states that none are; 0 for nothing
}

// Admit tells how many of the free deliveries may be pulled now. For none, it tells how long until asking again makes sense, if
// nothing is reported before; for ever while a probe or an opinion is out.
func (b *Breaker) Admit(now time.Time, free int) (n int, wait time.Duration) {
	if b.state == Open {
		if wait := b.until.Sub(now); wait > 0 {
			return 0, wait
		}
		b.change(HalfOpen)
		b.asking = true
		b.round++
	}
	if b.state == HalfOpen {
		if b.asking || b.probing > 0 || free <= 0 {
			return 0, math.MaxInt64
		}
		b.probing = 1
		return 1, math.MaxInt64
	}
	return max(free, 0), math.MaxInt64
}

// Enter lets a delivery that was admitted in generation begin its call, and returns the generation in which it begins. One that
// was pulled before a change is treated as if it were pulled now, so that it may well be the probe; where it may not begin,
// pause tells how long it should stay away.
func (b *Breaker) Enter(now time.Time, generation uint64) (begins uint64, pause time.Duration) {
	if generation == b.generation {
		return generation, 0
	}
	n, wait := b.Admit(now, 1)
	switch {
	case n > 0:
		return b.generation, 0
	case b.state == HalfOpen:
		wait = b.Pause(now)
	}
	return generation, max(wait, retry.MinDelay)
}

// Pause is for how long a delivery should stay away whose failure, or whose hand-back, is the API's fault; 0 while the breaker
// is closed.
func (b *Breaker) Pause(now time.Time) time.Duration {
	switch {
	case b.state == Closed:
		return 0
	case b.suspected:
		return suspicionPause
	case b.state == HalfOpen:
		return max(b.next, retry.MinDelay)
	}
	return max(b.until.Sub(now), retry.MinDelay)
}

// Unused takes back that n were admitted: no events came. It stays half-open.
func (b *Breaker) Unused(generation uint64, n int) {
	if generation == b.generation && b.state == HalfOpen {
		b.probing -= n
	}
}

// Report takes the result of a delivery into account, while calling calls are being made.
func (b *Breaker) Report(now time.Time, r Result, calling int) {
	if r.Generation != b.generation {
		return
	}
	if b.state == HalfOpen {
		b.probing--
		b.probed(now, r)
		return
	}
	switch r.Verdict {
	case Working:
		b.succeeded(true)
	case Rejecting:
		b.succeeded(false)
		if b.brakeAt > 0 && !b.released {
			if b.rejected[r.Session] = struct{}{}; b.braking() {
				b.suspectSessions(now, r, calling)
			}
		}
	case Failing:
		if b.failed[r.Session] = struct{}{}; b.doubts(now) {
			b.suspectSessions(now, r, calling)
		}
	case Refusing:
		b.open(now, r, calling)
	}
}

// succeeded starts the row of failures anew. ok says that it was an OK, and no CALLER_ERROR.
func (b *Breaker) succeeded(ok bool) {
	clear(b.failed)
	b.trust, b.distrust, b.asking = 0, false, false
	if ok {
		clear(b.rejected)
		b.released = false
	}
}

// probed takes the result of a probe by a delivery into account.
func (b *Breaker) probed(now time.Time, r Result) {
	switch r.Verdict {
	case Working, Rejecting:
		if b.braked && r.Verdict == Rejecting {
			b.open(now, b.brake(r), b.calling)
			return
		}
		b.close(now)
	case Failing:
		if b.misses++; b.misses >= probeFailures {
			b.open(now, r, b.calling)
		}
	case Refusing:
		b.open(now, r, b.calling)
	case SaysNothing:
		if b.fruitless++; b.fruitless >= fruitlessProbes {
			b.open(now, Result{Reason: b.reason, Misconfig: b.misconfig}, b.calling)
		}
	}
}

// State is the breaker's state.
func (b *Breaker) State() State { return b.state }

// Generation changes with the state; see [Breaker].
func (b *Breaker) Generation() uint64 { return b.generation }

// Asking reports whether an opinion is wanted.
func (b *Breaker) Asking() bool { return b.asking }

// Suspected reports whether calls only wait for an opinion: half-open, but not open before.
func (b *Breaker) Suspected() bool { return b.suspected }

// Braked reports whether CALLER_ERROR for many sessions in a row holds all events back.
func (b *Breaker) Braked() bool { return b.braked }

// open opens the breaker until the next probe: after the first interval, and where a probe failed, after half of the time
// that the outage has lasted, so that probes are as rare as they can be without making an outage much longer than it is.
// And no sooner than a Retry-After allows. One that follows soon on a closing belongs to the same outage.
func (b *Breaker) open(now time.Time, r Result, calling int) {
	if !b.opened {
		b.limit.Opened(calling)
		if now.Sub(b.closed) > flapWindow {
			b.since = now
		}
		b.opened = true
	}
	b.next = max(b.interval, min(now.Sub(b.since)/2, b.maximum))
	b.reason, b.misconfig, b.refused = r.Reason, r.Misconfig, r.Verdict == Refusing
	b.until = now.Add(max(b.next, Spread(r.Wait)))
	clear(b.failed)
	b.change(Open)
}

// Spread is how long a Retry-After makes a worker wait: no longer than maxPause, and up to a fifth more, so that a fleet does
// not come back in step.
func Spread(wait time.Duration) time.Duration {
	wait = min(wait, maxPause)
	return wait + time.Duration(pauseJitter*rand.Float64()*float64(wait))
}

// close closes the breaker after it was open.
func (b *Breaker) close(now time.Time) {
	b.change(Closed)
	b.limit.Closed(now)
	clear(b.failed)
	clear(b.rejected)
	b.closed, b.reason, b.misconfig, b.braked, b.opened, b.next, b.round = now, "", false, false, false, 0, 0
}

func (b *Breaker) change(to State) {
	b.state, b.probing, b.misses, b.fruitless = to, 0, 0, 0
	b.asking, b.suspected, b.distrust, b.trust = false, false, false, 0
	b.generation++
}

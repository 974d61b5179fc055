package admission

import (
	"math"
	"time"
)

// The adaptive limit follows the delay that the API's queue adds to a call, as Swift does for a network's (Kumar et al.,
// SIGCOMM 2020): a little more while the delay is below a target, less in proportion while it is above. All workers see the same
// queue and have the same target, so they find equal shares without talking.
const (
	// startLimit is how many calls may be in flight at first; each round doubles them while the API shows no queue.
	startLimit = 8
	// The target is so much above the floor: a part of it, and no less than slack. What a queue shorter than slack costs
	// others is not worth a lower limit, and clocks and schedulers are not more exact than that.
	targetPart = 0.25
	slack      = 2500 * time.Microsecond
	lowBonus   = 2 // for a limit of 1; 1 for 4, half for 16
	// floorWeight is the weight of a window below the floor. It keeps the floor from following the lucky windows.
	floorWeight = 0.25
	// maxCut bounds a reduction, and cutStrength is the part of the excess that it takes back.
	maxCut      = 0.5
	cutStrength = 0.6
	// hangTime is how long no call may end while all are in use, before more are let go.
	hangTime = 500 * time.Millisecond
	// failedCut is left of the limit when calls time out or the API can't take them.
	failedCut = 0.7
	// failedPart is the part of a window's calls that may fail that way.
	failedPart = 0.1
	// A window has at least minSamples calls, and more where they scatter, until the mean is exact to precision. It is looked at
	// after windowTime at the latest if it has minSamples.
	minSamples = 8
	maxSamples = 1000
	precision  = 0.05
	windowTime = 2 * time.Second
	// binding is the part of the limit that must have been in flight for a window to say something of the limit.
	binding = 0.8
	// floorInterval is how often the floor is measured while the limit follows the latency, and boundRounds times that while it
	// is at its bound. A measurement takes so many calls' time, between two bounds.
	floorInterval = 10 * time.Second
	boundRounds   = 6
	floorCalls    = 5
	minFloorTime  = 200 * time.Millisecond
	maxFloorTime  = time.Second
	// drained is the part of the limit that is used meanwhile, and drainPart the part of the time in which the queue drains.
	drained   = 0.25
	drainPart = 0.4
	// rampStart and rampDoubling bring the calls back after an outage: 4, 8, 16, … so that 64 are back in 0.8 s.
	rampStart    = 4
	rampDoubling = 200 * time.Millisecond
)

// Limit is the adaptive limit on calls in flight. It learns from windows of calls that all began after its last change, so that
// it never acts on what it has acted on already. It is pure: it has no clock and no lock.
type Limit struct {
	bound int
	limit float64
	why   Cause

	floor   float64 // seconds a call takes without a queue; 0 while that is not known
	target  float64 // seconds
	took    float64 // seconds, in the last window
	bounded bool    // the last window used the limit
	doubled bool    // slow start is over
	streak  int     // windows in a row that raised the limit
	trusted bool    // the last measurement found the floor where it was
	scatter float64 // exponentially weighted mean: variance of the logarithm of a call's duration
	window  window
	tally   tally

	round     int64     // of floorInterval, by the wall clock
	measuring float64   // the limit to go back to once the floor is measured; 0 if it is not being measured
	measured  time.Time // when that ends
	ramping   time.Time // since when calls come back after an outage; zero once they are
	before    float64   // the limit before failures or an outage cut it
	fullSince time.Time // since when all calls are in use and none has ended; zero if that is not so
	excused   time.Time // until then slow failures say nothing of load
}

// Cause says why a limit is where it is.
type Cause string

// The causes of a limit.
const (
	ByBound   Cause = "concurrency" // REVOKER_CONCURRENCY
	ByStart   Cause = "start"       // the worker has just begun
	ByLatency Cause = "latency"     // more calls would queue at the API
	ByFailure Cause = "failures"    // calls time out, or this machine or the API can't take more
	ByBreaker Cause = "breaker"     // the circuit breaker was open
	ByRate    Cause = "rate"        // the API answers 429 beyond it
)

// Causes are all of them.
var Causes = []Cause{ByBound, ByStart, ByLatency, ByFailure, ByBreaker, ByRate}

// window is what the calls since the last change say.
type window struct {
	began       time.Time
	n           int
	sum, square float64 // of the logarithms of durations in seconds
	most        int     // calls in flight at a time
}

// tally counts calls since the limit was last cut for failures.
type tally struct {
	began            time.Time
	answered, failed int
}

// NewLimit returns one that never exceeds bound.
func NewLimit(bound int) *Limit {
	l := &Limit{bound: bound, why: ByStart}
	l.set(min(startLimit, float64(bound)), ByStart)
	return l
}

// Ended says how a call ended.
type Ended int

// How calls end.
const (
	Answered   Ended = iota // by the API, for or against the session
	Overloaded              // not in time, or the API could not take it
	Exhausted               // this machine could not make it: no descriptors, no ports, no memory
	Unknown                 // a failure that says nothing of load
)

// Call is a call that ended.
type Call struct {
	Ended    Ended
	Took     time.Duration
	InFlight int // calls in flight, this one included
	// Local is how much of the time this machine's own CPU is likely to have taken.
	Local time.Duration
}

// Called takes a call into account that ended now.
func (l *Limit) Called(now time.Time, c Call) {
	l.measureFloor(now)
	l.fullSince = time.Time{}
	if c.Ended != Answered {
		if c.Ended != Unknown {
			l.failed(now, c)
		}
		return
	}
	l.tally.answered++
	if l.target == 0 || c.Took.Seconds() <= l.target {
		l.excused = now.Add(windowTime)
	}
	began := now.Add(-c.Took)
	w := &l.window
	if w.began.IsZero() {
		w.began = began
	}
	if began.Before(w.began) {
		return
	}
	w.most = max(w.most, c.InFlight)
	log := math.Log(max(c.Took-c.Local, time.Microsecond).Seconds())
	w.n, w.sum, w.square = w.n+1, w.sum+log, w.square+log*log
	switch {
	case l.measuring > 0:
	case w.n >= l.enough() || w.n >= minSamples && now.Sub(w.began) >= windowTime:
		l.decide(now)
	case now.Sub(w.began) >= windowTime:
		l.restartWindow(now) // so few calls teach nothing
	}
}

// enough is how many calls make a window.
func (l *Limit) enough() int {
	n := l.scatter / (precision * precision)
	return int(min(max(n, l.limit/2, minSamples), maxSamples))
}

// took is how long the window's calls took in the middle: the geometric mean, which a few very long ones hardly move.
func (w *window) took() float64 { return math.Exp(w.sum / float64(w.n)) }

// decide acts on a window.
func (l *Limit) decide(now time.Time) {
	w := l.window
	mean, took := w.sum/float64(w.n), w.took()
	l.took = took
	l.scatter += (max(w.square/float64(w.n)-mean*mean, 0) - l.scatter) / 8
	l.bounded = float64(w.most) >= binding*math.Floor(l.limit)
	switch {
	case l.floor == 0 || took < l.floor*(1-targetPart):
		l.floor = took
	case took < l.floor:
		l.floor += (took - l.floor) * floorWeight
	}
	l.aim()
	switch {
	case !l.bounded:
	case took > l.target:
		l.cut(1 - min(maxCut, cutStrength*(took-l.target)/took))
	default:
		l.raise(now.Sub(w.began).Seconds() / took)
	}
	l.restartWindow(now)
}

// aim sets the target above the floor. It is higher for a low limit, so that unequal limits, and floors that were not measured
// alike, draw near to each other.
func (l *Limit) aim() {
	l.target = l.floor + max(targetPart*l.floor, slack.Seconds())*(1+lowBonus/math.Sqrt(l.limit))
}

// cut lowers the limit, for latency.
func (l *Limit) cut(part float64) {
	l.doubled, l.streak = true, 0
	l.set(l.limit*part, ByLatency)
}

// raise raises it after so many rounds of calls: twofold in slow start, later by one call a round, and by more while the API
// bears it. It must not depend on the limit, or workers with unequal ones would stay so.
func (l *Limit) raise(rounds float64) {
	step := l.limit
	if l.doubled {
		step = min(rounds*(1+float64(l.streak)/4), l.limit)
	}
	l.streak++
	l.set(l.limit+step, l.why)
}

func (l *Limit) set(limit float64, why Cause) {
	l.limit, l.why = min(max(limit, 1), float64(l.bound)), why
	if l.limit >= float64(l.bound) {
		l.why, l.before = ByBound, 0
	}
}

// failed counts a call that was not taken, and lowers the limit if there are many. Slow failures do not lower it while others
// are answered as fast as ever: then it is not the load that makes them fail, and more calls do no harm. A quick refusal may
// well be the load, which the API sheds.
func (l *Limit) failed(now time.Time, c Call) {
	t := &l.tally
	if now.Add(-c.Took).Before(t.began) {
		return // acted on already
	}
	if t.failed++; t.failed < 2 || float64(t.failed) < failedPart*max(l.limit, float64(t.answered+t.failed)) {
		return
	}
	slow := c.Ended == Overloaded && c.Took.Seconds() > 2*l.target
	switch {
	case l.target == 0:
		return // nothing was answered yet, and so nothing is known; the circuit breaker is there
	case slow && now.Before(l.excused):
		if float64(c.InFlight) >= binding*math.Floor(l.limit) {
			l.raise(1)
		}
		l.tally = tally{began: t.began}
	default:
		l.stopMeasuring()
		l.before = max(l.before, l.limit)
		l.doubled, l.streak = true, 0
		l.set(l.limit*failedCut, ByFailure)
		l.tally = tally{began: now}
		l.restartWindow(now)
	}
}

func (l *Limit) restartWindow(now time.Time) { l.window = window{began: now} }

// measureFloor lets fewer calls go for a moment, so that the queue drains and the floor shows: the API may have become slower
// for all, whatever the load. The moment is a round one of the wall clock, so that a whole fleet measures at the same time.
// One worker alone would measure the queue of the others.
func (l *Limit) measureFloor(now time.Time) {
	if l.measuring > 0 {
		if !now.Before(l.measured) && (l.window.n >= minSamples || !now.Before(l.measured.Add(maxFloorTime))) {
			l.endMeasuring(now)
		}
		return
	}
	round, since := now.UnixNano()/int64(floorInterval), time.Duration(now.UnixNano()%int64(floorInterval))
	if round == l.round {
		return
	}
	l.round = round
	lasts := min(max(time.Duration(floorCalls*l.took*float64(time.Second)), minFloorTime), maxFloorTime)
	if since > lasts/3 || l.floor == 0 || !l.bounded || l.trusted && l.limit >= float64(l.bound) && round%boundRounds != 0 {
		return
	}
	l.measuring, l.measured = l.limit, now.Add(lasts-since)
	l.limit = max(l.limit*drained, 1)
	l.window = window{began: now.Add(time.Duration(drainPart*float64(lasts)) - since)}
}

// endMeasuring ends it. If the floor has risen above the target the limit was cut for nothing, and starts anew from where it is.
func (l *Limit) endMeasuring(now time.Time) {
	w := l.window
	l.stopMeasuring()
	l.restartWindow(now)
	if w.n == 0 {
		return
	}
	took, exact := w.took(), math.Sqrt(l.scatter/float64(w.n))
	l.trusted = took > l.floor*(1-targetPart)
	if took > l.target {
		l.doubled, l.streak = false, 0
	}
	if math.Abs(took-l.floor) <= 2*exact*l.floor {
		took = l.floor + (took-l.floor)*floorWeight // within what chance does
	}
	l.floor = took
	l.aim()
}

func (l *Limit) stopMeasuring() {
	if l.measuring > 0 {
		l.limit, l.measuring = l.measuring, 0
	}
}

// Opened is for when the circuit breaker opens with so many calls in flight: half of them may be what the API bears.
func (l *Limit) Opened(calling int) {
	l.stopMeasuring()
	l.before = max(l.before, l.limit)
	l.doubled, l.streak = true, 0
	l.set(max(min(l.limit, float64(calling))/2, rampStart), ByBreaker)
}

// Closed is for when the circuit breaker closes: the calls come back step by step.
func (l *Limit) Closed(now time.Time) {
	l.ramping = now
	l.restartWindow(now)
}

// Exonerate is for when a second opinion found that the API works: the calls fail because of their sessions. What failures took
// from the limit comes back, and for a while they take nothing. After an outage the limit doubles, since a block of failing
// sessions leaves no answers to grow by.
func (l *Limit) Exonerate(now time.Time) {
	limit := 2 * l.limit
	if l.why == ByFailure {
		limit = max(l.before, l.limit)
	}
	l.set(limit, l.why)
	l.excused = now.Add(trustTime)
}

// Short reports whether the limit is lower than latency asks for: it has only begun to grow, or failures or an outage cut it.
func (l *Limit) Short() bool {
	return l.limit < l.before || !l.doubled && l.limit < float64(l.bound)
}

// Now is how many calls may be in flight, and after how long to ask again although nothing changed; 0 for never.
func (l *Limit) Now(now time.Time) (n int, again time.Duration) {
	l.measureFloor(now)
	limit := l.limit
	if !l.ramping.IsZero() {
		if ramp := float64(int64(rampStart) << min(max(now.Sub(l.ramping), 0)/rampDoubling, 20)); ramp < limit {
			return int(ramp), rampDoubling
		}
		l.ramping = time.Time{}
	}
	return max(int(limit), 1), 0
}

// Full is for a call that could begin but for the limit. Where no call has ended for long, those in flight hang: that is no queue,
// in which one would end after the other. They must not block all others, so the limit doubles; if the API is at fault, the
// circuit breaker sees to it. Full returns after how long to ask again.
func (l *Limit) Full(now time.Time) (again time.Duration) {
	patience := max(hangTime, time.Duration(4*l.target*float64(time.Second)))
	switch {
	case l.fullSince.IsZero():
		l.fullSince = now
	case now.Sub(l.fullSince) >= patience && l.limit < float64(l.bound):
		l.stopMeasuring()
		l.set(2*l.limit, l.why)
		l.fullSince = now
	}
	return max(patience-now.Sub(l.fullSince), time.Millisecond)
}

// Why says why the limit is where it is.
func (l *Limit) Why() Cause { return l.why }

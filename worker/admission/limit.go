package admission

import (
	"math"
	"time"
)

// The adaptive limit follows the delay that the API's queue adds to a call, as Swift does for a network's (Kumar et al.,
// SIGCOMM 2020): a little more while the delay is below a target, less in proportion while it is above. All workers see the same
// queue and have the same target, so they find equal shares without talking.
const (
	// startLimit is how many calls may be in flight at first; each window of calls doubles them while the API shows no queue. It is low
	// because workers that begin together would otherwise make a queue that each takes for the API's own time.
	startLimit = 2
	// The target is so much above the floor: a part of it, and no less than slack. What a queue shorter than slack costs
	// others is not worth a lower limit, and clocks and schedulers are not more exact than that.
	targetPart = 0.2
	slack      = 2 * time.Millisecond
	lowBonus   = 1.5 // for a limit of 1; half of it for 4
	// floorWeight is the weight of a window below the floor. It keeps the floor from following the lucky windows.
	floorWeight = 0.25
	// maxCut bounds a reduction, and cutStrength is the part of the excess that it takes back.
	maxCut      = 0.5
	cutStrength = 0.6
	// Cuts are in vain if they left vainPart of the limit, and calls take vainTook of what they took: the API has become slower for
	// all, whatever the load.
	vainPart = 0.06
	vainTook = 0.9
	// A window has at least minSamples calls, and more where they scatter, until the mean is exact to precision. It is looked at
	// after windowTime at the latest if it has minSamples. In slow start slowStartRounds of calls are enough, and two after windowTime.
	minSamples      = 8
	maxSamples      = 1000
	precision       = 0.05
	windowTime      = 2 * time.Second
	slowStartRounds = 4
	// A limit that grew by provenGrowth to its bound while calls took no longer than provenTook times the floor shows that the floor has
	// no queue in it.
	provenGrowth = 4
	provenTook   = 1.1
	// binding is the part of the limit that must have been in flight for a window to say something of the limit.
	binding = 0.8
)

// Limit is the adaptive limit on calls in flight. It learns from windows of calls that all began after its last change, so that
// it never acts on what it has acted on already. It is pure: it has no clock and no lock.
type Limit struct {
	bound int
	limit float64
	why   Cause

	floor   float64 // seconds a call takes without a queue; 0 while that is not known
	grounds int     // how many calls it rests on
	target  float64 // seconds
	took    float64 // seconds, in the last window
	last    float64 // seconds, of the call that was answered last
	bounded bool    // the last window used the limit
	late    bool    // its calls took longer than the target
	doubled bool    // slow start is over
	streak  int     // windows in a row that raised the limit
	cutFrom float64 // the limit before the first of several cuts, and what calls took then
	cutTook float64
	trusted bool    // the last measurement found the floor where it was
	scatter float64 // exponentially weighted mean: variance of the logarithm of a call's duration
	window  window
	tally   tally

	round     int64     // of floorInterval, by the wall clock
	measuring float64   // the limit to go back to once the floor is measured; 0 if it is not being measured
	measured  time.Time // when that ends
	patience  time.Time // when it ends though few calls have ended
	doubts    int       // how many measurements may still find that the floor of the first windows had a queue in it
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
	ByStart   Cause = "start"       // no load has asked for more since the worker began
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
	local       float64 // seconds: the sum of what this machine took of the calls
	stall       float64 // seconds: the longest time that this process stood still
}

// NewLimit returns one that never exceeds bound.
func NewLimit(bound int) *Limit {
	l := &Limit{bound: bound, why: ByStart, doubts: maxDoubts}
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
	// Stall is the longest time that this process stood still since the last call ended.
	Stall time.Duration
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
	l.last = c.Took.Seconds()
	if l.target == 0 || c.Took.Seconds() <= l.target {
		l.excused = now.Add(windowTime)
	}
	began := now.Add(-c.Took)
	w := &l.window
	w.stall = max(w.stall, c.Stall.Seconds())
	if w.began.IsZero() {
		w.began = began
	}
	if began.Before(w.began) {
		return
	}
	w.most = max(w.most, c.InFlight)
	log := math.Log(max(c.Took, time.Microsecond).Seconds())
	w.n, w.sum, w.square = w.n+1, w.sum+log, w.square+log*log
	w.local += c.Local.Seconds()
	switch {
	case l.measuring > 0:
	case w.n >= l.enough() || w.n >= l.least() && now.Sub(w.began) >= windowTime:
		l.decide(now)
	case now.Sub(w.began) >= windowTime && !l.binds():
		l.restartWindow(now) // so few calls teach nothing
	}
}

// enough is how many calls make a window.
func (l *Limit) enough() int {
	n := l.scatter / (precision * precision)
	if !l.doubled {
		n = min(n, slowStartRounds*l.limit)
	}
	return int(min(max(n, l.limit/2, minSamples), maxSamples))
}

// least is how many calls must do where they take long.
func (l *Limit) least() int {
	if !l.doubled {
		return int(min(2*l.limit, minSamples))
	}
	return minSamples
}

// binds reports whether the window's calls used the limit. Then their number is low because they take long.
func (l *Limit) binds() bool { return float64(l.window.most) >= binding*math.Floor(l.limit) }

// took is how long the window's calls took in the middle: the geometric mean, which a few very long ones hardly move.
func (w *window) took() float64 { return math.Exp(w.sum / float64(w.n)) }

// remote is how long the window's calls took without what this machine is likely to have taken. That is an estimate, and so it may
// explain why calls took longer than the floor, but it lowers no floor.
func (l *Limit) remote(w window) float64 {
	took := w.took()
	return max(took-w.local/float64(w.n), min(took, l.floor))
}

// decide acts on a window. It cuts where two in a row are late: an API, or a machine, that stands still for a moment has no queue.
func (l *Limit) decide(now time.Time) {
	w := l.window
	mean, took := w.sum/float64(w.n), w.took()
	scatter := max(w.square/float64(w.n)-mean*mean, 0)
	if l.floor == 0 {
		if l.scatter = scatter; w.n < l.enough() && now.Sub(w.began) < windowTime {
			return
		}
		l.floor, l.grounds = took, w.n
	}
	l.scatter += (scatter - l.scatter) / 8
	sure := chance(scatter, w.n)
	switch {
	case took*sure < l.floor*(1-targetPart):
		l.floor = took
	case took < l.floor:
		l.floor += (took - l.floor) * floorWeight
	}
	l.took = l.remote(w)
	l.aim()
	if !l.doubled {
		sure *= chance(scatter, l.grounds)
		l.learnFloor(w, sure)
	}
	l.bounded = l.binds()
	before := l.late
	l.late = l.took/sure > l.target
	switch {
	case !l.bounded:
	case !l.late:
		l.raise(now.Sub(w.began).Seconds() / l.took)
	case !before || l.took-w.stall <= l.target:
	case l.inVain(l.took):
		l.rise(l.took)
	default:
		took := l.took - w.stall
		l.cut(1 - min(maxCut, cutStrength*(took-l.target)/took))
	}
	l.restartWindow(now)
}

// chance is the factor by which the middle of so few calls may be off.
func chance(scatter float64, n int) float64 { return math.Exp(math.Sqrt(scatter / float64(n))) }

// learnFloor takes a window of slow start into the floor if chance alone may have made its calls longer. The first windows have few
// calls, and the floor must not stay at the luckiest of them.
func (l *Limit) learnFloor(w window, sure float64) {
	if took := w.took(); took > l.floor && l.took <= l.target*sure {
		l.grounds += w.n
		l.floor *= math.Pow(took/l.floor, float64(w.n)/float64(l.grounds))
		l.aim()
	}
}

// inVain reports whether calls take as long as before, although far fewer are in flight: then they wait in no queue.
func (l *Limit) inVain(took float64) bool {
	if l.streak > 0 || l.cutFrom == 0 {
		l.cutFrom, l.cutTook = l.limit, took
	}
	return l.limit <= vainPart*l.cutFrom && took >= vainTook*l.cutTook
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
		if !l.doubled && l.floor > 0 && l.took <= provenTook*l.floor && l.bound >= provenGrowth*startLimit {
			l.trusted, l.doubts = true, 0
		}
	}
}

func (l *Limit) restartWindow(now time.Time) { l.window = window{began: now} }

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

// Why says why the limit is where it is.
func (l *Limit) Why() Cause { return l.why }

package admission

import (
	"math"
	"time"
)

const (
	// hangTime is how long no call may end while all are in use, before more are let go.
	hangTime = 500 * time.Millisecond
	// blindLimit is how many calls may be in flight while none was answered and some fail.
	blindLimit = 8
	// failedCut is left of the limit when calls time out or the API can't take them.
	failedCut = 0.7
	// failedPart is the part of a window's calls that may fail that way.
	failedPart = 0.1
	// rampStart and rampDoubling bring the calls back after an outage: 4, 8, 16, … so that 64 are back in 0.8 s.
	rampStart    = 4
	rampDoubling = 200 * time.Millisecond
)

// tally counts calls since the limit was last cut for failures.
type tally struct {
	began            time.Time
	answered, failed int
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
		// Nothing was answered yet, and so nothing is known; the circuit breaker is there. Sessions that hang must not have all calls.
		l.set(max(l.limit, blindLimit), l.why)
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

// Opened is for when the circuit breaker opens with so many calls in flight: half of them may be what the API bears. Slow start goes on
// after it if it was not over: then the limit says nothing of the API yet.
func (l *Limit) Opened(calling int) {
	l.stopMeasuring()
	l.before = max(l.before, l.limit)
	l.streak = 0
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

// Full is for a call that could begin but for the limit. Where no call has ended for long, those in flight hang: that is not a queue,
// in which one would end after the other. They must not block all others, so the limit doubles; if the API is at fault, the
// circuit breaker sees to it. A worker with few calls in a queue that others made sees long gaps too, but none much longer than its last
// call. Full returns after how long to ask again.
func (l *Limit) Full(now time.Time) (again time.Duration) {
	patience := max(hangTime, time.Duration(max(4*l.target, 2*l.last)*float64(time.Second)))
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

package admission

import (
	"math"
	"time"
)

const (
	rampStart    = 4                      // slots, right after closing
	rampDoubling = 200 * time.Millisecond // 4, 8, 16, … so that 64 slots are back in 0.8 s, 1,024 in 1.6 s
	// regrowth is in how many rounds of calls the limit grows from nothing to all slots.
	regrowth = 64
)

// slotLimit brings the slots back after the circuit breaker was open: quickly up to half of the calls that were in flight when
// it opened, since those may have been too many for the API; and from there by one part in regrowth for each round of
// successful calls. It is part of the breaker and as pure.
type slotLimit struct {
	total   int
	limit   float64   // calls that may be in flight
	ramping time.Time // since when the slots are coming back; zero once they are
}

func newSlotLimit(total int) slotLimit { return slotLimit{total: total, limit: float64(total)} }

// halve is for when the breaker opens with so many calls in flight.
func (l *slotLimit) halve(calling int) {
	l.limit = max(min(l.limit, float64(calling))/2, min(rampStart, float64(l.total)))
}

// restart is for when the breaker closes.
func (l *slotLimit) restart(now time.Time) { l.ramping = now }

// succeeded is for each successful call.
func (l *slotLimit) succeeded() {
	if l.limit < float64(l.total) {
		step := max(float64(l.total)/regrowth, 1)
		l.limit = min(l.limit+step/l.limit, float64(l.total))
	}
}

// double is for when a block of failing sessions leaves no successful calls to grow by, although the API works.
func (l *slotLimit) double() { l.limit = min(2*l.limit, float64(l.total)) }

// all reports whether all slots may be used.
func (l *slotLimit) all() bool { return l.limit >= float64(l.total) }

// admit tells how many of the free slots may be used while busy are in use, and when to ask again.
func (l *slotLimit) admit(now time.Time, free, busy int) (n int, wait time.Duration) {
	limit, wait := l.limit, time.Duration(math.MaxInt64)
	if !l.ramping.IsZero() {
		if ramp := float64(int64(rampStart) << min(now.Sub(l.ramping)/rampDoubling, 20)); ramp < limit {
			limit, wait = ramp, rampDoubling
		} else {
			l.ramping = time.Time{}
		}
	}
	if limit >= float64(l.total) {
		return free, math.MaxInt64 // deliveries ahead of the slots included
	}
	return max(min(free, int(limit)-busy), 0), min(wait, rampDoubling)
}

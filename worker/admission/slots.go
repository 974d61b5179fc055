package admission

import (
	"context"
	"time"
)

const (
	// borrowInterval is how often one who borrows a slot looks for it.
	borrowInterval = 5 * time.Millisecond
	// mostLookAgain is how long a slot waits at most, with deliveries in hand, until it looks again whether one may begin.
	mostLookAgain = 500 * time.Millisecond
)

// Drain lets what waits in hand go on, whatever limit and rate say, since it is handed back.
func (a *Admission) Drain() {
	a.mu.Lock()
	a.draining = true
	a.slots.Broadcast()
	a.mu.Unlock()
}

// Next waits until a delivery that is in hand may begin, and returns its lane. It returns false when no more will come.
// Release must follow.
func (a *Admission) Next() (l Lane, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		next, waits := a.first()
		if waits && a.mayBegin(time.Now()) {
			a.lanes[next].waiting--
			a.lanes[next].working++
			if _, more := a.first(); more {
				a.slots.Signal()
			}
			return next, true
		}
		if !waits && a.lanes[Live].ended && a.lanes[Bulk].ended {
			a.slots.Signal()
			return 0, false
		}
		a.slots.Wait()
	}
}

// first is the lane whose delivery is next.
func (a *Admission) first() (l Lane, waits bool) {
	if a.lanes[Live].waiting > 0 {
		return Live, true
	}
	return Bulk, a.lanes[Bulk].waiting > 0
}

// mayBegin reports whether limit and rate let one more call begin, and takes its token. While the breaker is not closed they are
// not asked, since the delivery is handed back or is the probe.
func (a *Admission) mayBegin(now time.Time) bool {
	if a.draining || a.breaker.state != Closed {
		return true
	}
	if limit, again := a.limit.Now(now); a.working() >= limit {
		full := a.limit.Full(now)
		if again == 0 || full < again {
			again = full
		}
		a.lookAgain(again)
		return false
	}
	return a.takeToken(now)
}

// takeToken takes a token of the rate limits, or sees to it that slots look again.
func (a *Admission) takeToken(now time.Time) bool {
	perSecond, wait := a.rate.Now(now)
	if wait == 0 && a.rate.Checking() && a.checking {
		return false // woken when that call has ended
	}
	if wait == 0 {
		wait = a.tokens.take(now, perSecond)
	}
	if wait > 0 {
		a.lookAgain(wait)
		return false
	}
	a.checking = a.rate.Checking()
	return true
}

// perSecond is how many calls a second may be made, apart from a pause.
func (a *Admission) perSecond(now time.Time) float64 {
	perSecond, wait := a.rate.Now(now)
	if wait > 0 {
		perSecond = a.rate.Learned()
	}
	return a.tokens.atMost(perSecond)
}

// lookAgain wakes a slot after a time, if there is one. It does so in time to see that limit or rate have changed: the rate changes
// when it is looked at, and is tried only in the first second of each round of probeInterval.
func (a *Admission) lookAgain(wait time.Duration) {
	if wait > 0 && !a.armed {
		a.armed = true
		a.timer.Reset(min(wait, mostLookAgain))
	}
}

func (a *Admission) tick() {
	a.mu.Lock()
	a.armed = false
	a.slots.Signal()
	a.mu.Unlock()
	a.signal()
}

// Release gives a slot back. It wakes the loops that admit only where these could ask for something, which they mostly can't
// while deliveries are ahead.
func (a *Admission) Release(l Lane) {
	now := time.Now()
	a.mu.Lock()
	a.lanes[l].working--
	a.checking = a.checking && a.working() > 0
	if _, waits := a.first(); waits {
		a.slots.Signal()
	}
	live, bulk := a.room(now, Live) > 0, a.room(now, Bulk) > 0
	a.mu.Unlock()
	if live {
		notify(a.lanes[Live].wake)
	}
	if bulk {
		notify(a.lanes[Bulk].wake)
	}
}

// Borrow waits for a slot for a call that no delivery asked for, behind all deliveries. It returns false once ctx is done, and
// while the breaker is not closed. Release must follow.
func (a *Admission) Borrow(ctx context.Context, l Lane) bool {
	for ctx.Err() == nil {
		a.mu.Lock()
		_, waits := a.first()
		closed := a.breaker.state == Closed
		granted := closed && !waits && a.mayBegin(time.Now())
		if granted {
			a.lanes[l].working++
		}
		a.mu.Unlock()
		if granted || !closed {
			return granted
		}
		select {
		case <-ctx.Done():
		case <-time.After(borrowInterval):
		}
	}
	return false
}

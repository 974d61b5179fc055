package admission

import (
	"context"
	"math"
	"time"
)

// Lane is one of the two queues that share the calls.
type Lane int

// The lanes. Live events come before bulk ones.
const (
	Live Lane = iota
	Bulk
	lanes = 2
)

const (
	// heartbeatInterval is how often a loop that admits comes round at least, though nothing has changed.
	heartbeatInterval = 5 * time.Second
	// prefetchTime is the time beyond the round trip of a pull for which there should be deliveries in hand. It makes pulls
	// few and large: at 64 slots and calls of 20 ms an event then costs a fifth less.
	prefetchTime = 5 * time.Millisecond
	// pullWait is how long one pull waits for events. A drain waits as long, for the last pull.
	pullWait = time.Second
	// probeWait is the same where a live event is looked for to probe with, before a bulk one is.
	probeWait = 100 * time.Millisecond
	// borrowInterval is how often one who borrows a slot looks for it.
	borrowInterval = 5 * time.Millisecond
)

// laneState counts a lane's deliveries by where they are.
type laneState struct {
	asked   int  // by the pull that is open
	waiting int  // in hand, without a slot yet
	working int  // in a slot
	backlog bool // more events waited behind the last one
	ended   bool // nothing more arrives

	wake      chan struct{} // something changed; holds one signal
	heartbeat Heartbeat     // of the loop that admits
}

func (l *laneState) held() int { return l.asked + l.waiting + l.working }

// working is how many deliveries are in slots. The caller holds mu, here and below.
func (a *Admission) working() int { return a.lanes[Live].working + a.lanes[Bulk].working }

// Prefetch is told the mean round trip of a pull and the mean duration of a call, by which deliveries are in hand beyond those
// that have slots: as many as the slots finish within the round trip and prefetchTime, so that a slot that comes free finds
// the next one there instead of waiting for it. With calls that are much longer there are none, because no other worker can
// take an event that is in hand.
func (a *Admission) Prefetch(roundTrip, meanCall time.Duration) {
	a.mu.Lock()
	a.roundTrip, a.meanCall = roundTrip, meanCall
	a.mu.Unlock()
}

// room is how many deliveries of the lane may be asked for. Live ones get the slots that they need, even those where bulk ones
// are still at work: these come free soon. Bulk ones get what is left. So that pulls are few and large it is none until half of
// what may be ahead is used up.
func (a *Admission) room(now time.Time, l Lane) int {
	limit, _ := a.limit.Now(now)
	ahead := 0.0
	if a.meanCall > 0 {
		around := (a.roundTrip + prefetchTime).Seconds()
		ahead = float64(limit) * min(around/a.meanCall.Seconds(), 1)
		if perSecond := a.perSecond(now); perSecond*(around+a.meanCall.Seconds()) < float64(limit) {
			limit, ahead = int(perSecond*(around+a.meanCall.Seconds()))+1, 0
		}
	}
	live, bulk := &a.lanes[Live], &a.lanes[Bulk]
	free := int(ahead)
	if l == Live {
		free += max(limit-bulk.working, 1) - live.held()
	} else {
		free += limit - live.working - live.waiting - bulk.held()
		if live.backlog {
			free -= live.asked
		}
	}
	if free < int(ahead)/2 {
		return 0
	}
	return max(free, 0)
}

// Grant lets a loop pull so many deliveries.
type Grant struct {
	N          int
	Generation uint64        // of the breaker
	Wait       time.Duration // for events, at most
}

// Admit waits until deliveries of the lane may be pulled, and returns how many. It returns none once ctx is done.
func (a *Admission) Admit(ctx context.Context, l Lane) Grant {
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	lane := &a.lanes[l]
	for ctx.Err() == nil {
		lane.heartbeat.Beat(heartbeatInterval)
		a.mu.Lock()
		grant, wait := a.admit(time.Now(), l)
		asking := a.breaker.asking
		a.mu.Unlock()
		if asking {
			notify(a.ask)
		}
		if grant.N > 0 {
			return grant
		}
		timer.Reset(min(wait, heartbeatInterval))
		select {
		case <-ctx.Done():
		case <-lane.wake:
		case <-timer.C:
		}
	}
	return Grant{}
}

// admit is one try of Admit. A probe is looked for among the live events first.
func (a *Admission) admit(now time.Time, l Lane) (g Grant, wait time.Duration) {
	g = Grant{Generation: a.breaker.generation, Wait: pullWait}
	probing := a.breaker.state != Closed
	if probing && l == Bulk && !a.passed {
		return g, heartbeatInterval // woken when live has none
	}
	free := a.room(now, l)
	if probing {
		free = 1
	}
	g.N, wait = a.breaker.Admit(now, free)
	g.Generation = a.breaker.generation
	if g.N > 0 && probing && l == Live && !a.lanes[Bulk].ended {
		g.Wait = probeWait
	}
	a.lanes[l].asked += g.N
	limit, again := a.limit.Now(now)
	if again > 0 {
		wait = min(wait, again)
	}
	if g.N == 0 && !probing && a.working() >= limit {
		wait = min(wait, a.limit.Full(now))
	}
	return g, wait
}

// Returned gives back what was admitted but brought no delivery.
func (a *Admission) Returned(l Lane, n int, generation uint64) {
	a.mu.Lock()
	lane := &a.lanes[l]
	lane.asked -= n
	if n > 0 {
		lane.backlog = false
	}
	a.breaker.Unused(generation, n)
	if n > 0 && a.breaker.state == HalfOpen {
		a.passed = l == Live
	}
	a.mu.Unlock()
	a.signal()
}

// Arrived is for a delivery that is in hand now. backlog tells that more events wait behind it.
func (a *Admission) Arrived(l Lane, backlog bool) {
	a.mu.Lock()
	lane := &a.lanes[l]
	lane.asked--
	lane.waiting++
	lane.backlog = backlog
	a.slots.Signal()
	a.mu.Unlock()
}

// End is for a lane from which nothing more arrives.
func (a *Admission) End(l Lane) {
	a.mu.Lock()
	a.lanes[l].ended = true
	a.slots.Broadcast()
	a.mu.Unlock()
	a.signal()
}

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

// lookAgain wakes a slot after a time, if there is one.
func (a *Admission) lookAgain(wait time.Duration) {
	if wait > 0 && !a.armed {
		a.armed = true
		a.timer.Reset(wait)
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

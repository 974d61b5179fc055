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
	// roundTripsAhead is for how many round trips of a pull there should be deliveries in hand. One pull is open at a time. So what
	// came with the last one must last until the present one is over and the next one has brought something: two round trips. The
	// third is for those that take longer than the mean.
	roundTripsAhead = 3
	// prefetchTime is the time beyond that. It makes pulls few and large: at 64 slots and calls of 20 ms an event then costs a fifth
	// less.
	prefetchTime = 5 * time.Millisecond
	// MaxAhead is how many deliveries may be in hand beyond those that have slots, as a multiple of these.
	MaxAhead = 2
	// pullWait is how long one pull waits for events. A drain waits as long, for the last pull.
	pullWait = time.Second
	// probeWait is the same where a live event is looked for to probe with, before a bulk one is.
	probeWait = 100 * time.Millisecond
)

// laneState counts a lane's deliveries by where they are.
type laneState struct {
	asked   int  // by the pull that is open
	waiting int  // in hand, without a slot yet
	working int  // in a slot
	backlog bool // more events waited behind the last one
	ended   bool // nothing more arrives
	away    bool // its consumer is not served, so that nothing can be pulled

	wake      chan struct{} // something changed; holds one signal
	heartbeat Heartbeat     // of the loop that admits
}

func (l *laneState) held() int { return l.asked + l.waiting + l.working }

// working is how many deliveries are in slots. The caller holds mu, here and below.
func (a *Admission) working() int { return a.lanes[Live].working + a.lanes[Bulk].working }

// Prefetch is told the mean round trip of a pull and the mean duration of a call, by which deliveries are in hand beyond those
// that have slots: as many as limit and rate let finish within roundTripsAhead and prefetchTime, so that a slot that comes free finds
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
	if call := a.meanCall.Seconds(); call > 0 {
		perSecond, most := float64(limit)/call, float64(MaxAhead*limit)
		if allowed := a.perSecond(now); allowed < perSecond {
			perSecond, limit = allowed, min(int(allowed*call)+1, limit)
		}
		ahead = min(perSecond*(roundTripsAhead*a.roundTrip+prefetchTime).Seconds(), most)
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
	if live := &a.lanes[Live]; probing && l == Bulk && !a.passed && !live.away {
		return g, heartbeatInterval // woken when live has none
	}
	free := a.room(now, l)
	if probing {
		free = 1
	}
	g.N, wait = a.breaker.Admit(now, free)
	g.Generation = a.breaker.generation
	if bulk := &a.lanes[Bulk]; g.N > 0 && probing && l == Live && !bulk.ended && !bulk.away {
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

// Away tells whether the lane's consumer is served. While it is not, the other lane does not wait for its turn to probe.
func (a *Admission) Away(l Lane, away bool) {
	a.mu.Lock()
	a.lanes[l].away = away
	a.mu.Unlock()
	a.signal()
}

// End is for a lane from which nothing more arrives.
func (a *Admission) End(l Lane) {
	a.mu.Lock()
	a.lanes[l].ended = true
	a.slots.Broadcast()
	a.mu.Unlock()
	a.signal()
}

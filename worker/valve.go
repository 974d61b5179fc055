package worker

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"
)

// valve decides how many deliveries may be pulled when: as many as there are free slots, circuit breaker and rate limit
// allowing. One goroutine admits; any may give slots back and report results.
type valve struct {
	log   *slog.Logger
	total int
	rate  *tokens
	wake  chan struct{} // something changed; holds one signal
	pulse pulse         // of the loop that admits

	mu      sync.Mutex
	busy    int // what the slots and ahead are taken by: deliveries in hand, and what a pull asked for
	ahead   int // deliveries that may be in hand beyond the slots
	calling int // calls being made
	breaker *breaker
	holds   map[string]hold // by service
}

// hold keeps the events of one service back, which the event itself named and the API refused.
type hold struct {
	until time.Time
	next  time.Duration
}

func newValve(slots int, limit float64, b *breaker, log *slog.Logger) *valve {
	return &valve{
		log:     log,
		total:   slots,
		rate:    newTokens(limit, slots),
		wake:    make(chan struct{}, 1),
		breaker: b,
		holds:   map[string]hold{},
	}
}

// prefetchTime is the time beyond the round trip of a pull for which there should be deliveries in hand. It makes pulls
// few and large: at 64 slots and calls of 20 ms an event then costs a fifth less.
const prefetchTime = 5 * time.Millisecond

// prefetch sets how many deliveries may be in hand beyond the slots: as many as the slots finish within a pull's round trip
// and prefetchTime, so that a slot that comes free finds the next event there instead of waiting for it. With calls that
// are much longer there are none, for an event in hand is one that no other worker can take; with short ones there are no more
// than slots, of which a pull brings half. None of it with a rate limit, by which the slots wait anyway.
func (v *valve) prefetch(roundTrip, meanCall time.Duration) {
	if v.rate.limiter != nil || meanCall <= 0 {
		return
	}
	ahead := float64(v.total) * (roundTrip + prefetchTime).Seconds() / meanCall.Seconds()
	v.mu.Lock()
	v.ahead = int(min(ahead, float64(v.total)))
	v.mu.Unlock()
}

// free is how many deliveries may be asked for. Where some are ahead it is none until half of those are used up, so that
// pulls are few and large. The caller holds mu.
func (v *valve) free() int {
	free := v.total + v.ahead - v.busy
	if free < v.ahead/2 {
		return 0
	}
	return max(free, 0)
}

// admit waits until deliveries may be pulled, takes a slot and a rate token for each, and returns how many, with the
// generation of the breaker. It returns none once ctx is done.
func (v *valve) admit(ctx context.Context) (n int, generation uint64) {
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for ctx.Err() == nil {
		v.pulse.beat(pulseInterval)
		v.mu.Lock()
		n, wait := v.breaker.admit(time.Now(), v.free(), v.busy)
		v.busy += n
		generation = v.breaker.generation
		v.mu.Unlock()
		if n > 0 {
			v.pulse.rest() // a token may be far off
			granted := v.rate.take(ctx, n)
			v.giveBack(n-granted, generation)
			return granted, generation
		}
		timer.Reset(min(wait, pulseInterval))
		select {
		case <-ctx.Done():
		case <-v.wake:
		case <-timer.C:
		}
	}
	return 0, generation
}

// returned gives back what was admitted but brought no delivery.
func (v *valve) returned(n int, generation uint64) {
	v.rate.giveBack(n)
	v.giveBack(n, generation)
}

func (v *valve) giveBack(n int, generation uint64) {
	v.mu.Lock()
	v.busy -= n
	v.breaker.unused(generation, n)
	v.mu.Unlock()
	v.signal()
}

// release gives slots back. It wakes admit only where that could ask for something, which it mostly can't while deliveries
// are ahead.
func (v *valve) release(n int) {
	v.mu.Lock()
	v.busy -= n
	free := v.free()
	v.mu.Unlock()
	if free > 0 {
		v.signal()
	}
}

func (v *valve) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// report hands a result to the breaker, and says so where its state or the reason changed.
func (v *valve) report(r result) {
	v.mu.Lock()
	before, reason, generation := v.breaker.state, v.breaker.reason, v.breaker.generation
	v.breaker.report(time.Now(), r)
	after, why, until := v.breaker.state, v.breaker.reason, v.breaker.until
	changed := v.breaker.generation != generation
	v.mu.Unlock()
	if changed || after == HalfOpen { // a probe that decided nothing is followed by the next at once
		v.signal()
	}
	switch {
	case after == Open && (before == Closed || why != reason):
		v.log.Warn("circuit breaker opened: no events are pulled", "reason", why, "next_probe_in", time.Until(until).Round(time.Millisecond))
	case after == Closed && before != Closed:
		v.log.Info("circuit breaker closed: the logout API works again")
	}
}

// enter lets a delivery that was admitted in generation pass to its call, and returns the generation in which the call
// begins; leave must follow. Where calls are paused by now, of its service or of all, it returns how long the delivery is to
// stay away.
func (v *valve) enter(generation uint64, service string) (begins uint64, pause time.Duration) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if held := v.holds[service].until.Sub(now); held > 0 {
		return generation, held
	}
	if begins, pause = v.breaker.enter(now, generation, v.calling, v.total); pause == 0 {
		v.calling++
	}
	return begins, pause
}

// leave ends a call that enter let pass.
func (v *valve) leave() {
	v.mu.Lock()
	v.calling--
	v.mu.Unlock()
}

// hold keeps the events that name this service back, for as long as the breaker would stay open. It reports whether the
// service was not held before.
func (v *valve) hold(service string) (first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, held := v.holds[service]
	if held && time.Now().Before(h.until) {
		return false // the result of a call that began before
	}
	h.next = min(max(2*h.next, v.breaker.interval), v.breaker.maximum)
	h.until = time.Now().Add(h.next)
	v.holds[service] = h
	return !held
}

// unhold ends a hold; it reports whether there was one.
func (v *valve) unhold(service string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, held := v.holds[service]
	delete(v.holds, service)
	return held
}

// blamesEvent reports whether a call that failed now failed because of its event: the breaker was and is closed.
func (v *valve) blamesEvent(generation uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.breaker.ready() && v.breaker.generation == generation
}

func (v *valve) misconfigured() (reason string, misconfigured bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.breaker.reason, v.breaker.misconfig
}

// inFlight is how many calls are being made.
func (v *valve) inFlight() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calling
}

// state is the breaker's, and why it is not closed.
func (v *valve) state() (state BreakerState, reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.breaker.state == Closed {
		return Closed, ""
	}
	return v.breaker.state, v.breaker.reason
}

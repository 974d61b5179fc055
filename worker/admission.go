package worker

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"
)

// admission decides how many deliveries may be pulled when: as many as there are free slots, if circuit breaker and rate limit
// allow it. One goroutine admits; any may give slots back and report results.
type admission struct {
	log       *slog.Logger
	total     int
	rate      *tokens
	wake      chan struct{} // something changed; holds one signal
	ask       chan struct{} // the breaker asks for an opinion; holds one signal
	heartbeat heartbeat     // of the loop that admits

	mu      sync.Mutex
	busy    int // slots that are taken: by deliveries in hand, and by those that a pull asked for
	ahead   int // deliveries that may be in hand beyond the slots
	calling int // calls being made
	breaker *breaker
	holds   holds
}

func newAdmission(slots int, limit float64, b *breaker, log *slog.Logger) *admission {
	return &admission{
		log:     log,
		total:   slots,
		rate:    newTokens(limit, slots),
		wake:    make(chan struct{}, 1),
		ask:     make(chan struct{}, 1),
		breaker: b,
		holds:   holds{first: b.interval, maximum: max(b.interval, b.maximum/2), services: map[string]*hold{}},
	}
}

// prefetchTime is the time beyond the round trip of a pull for which there should be deliveries in hand. It makes pulls
// few and large: at 64 slots and calls of 20 ms an event then costs a fifth less.
const prefetchTime = 5 * time.Millisecond

// prefetch sets how many deliveries may be in hand beyond the slots: as many as the slots finish within a pull's round trip
// and prefetchTime, so that a slot that comes free finds the next event there instead of waiting for it. With calls that
// are much longer there are none, for an event in hand is one that no other worker can take. With short ones there are as many
// as slots, of which a pull brings half. With a rate limit there are none, for the slots wait anyway.
func (a *admission) prefetch(roundTrip, meanCall time.Duration) {
	if a.rate.limiter != nil || meanCall <= 0 {
		return
	}
	ahead := float64(a.total) * (roundTrip + prefetchTime).Seconds() / meanCall.Seconds()
	a.mu.Lock()
	a.ahead = int(min(ahead, float64(a.total)))
	a.mu.Unlock()
}

// free is how many deliveries may be asked for. Where some are ahead it is none until half of those are used up, so that
// pulls are few and large. The caller holds mu.
func (a *admission) free() int {
	free := a.total + a.ahead - a.busy
	if free < a.ahead/2 {
		return 0
	}
	return max(free, 0)
}

// admit waits until deliveries may be pulled, takes a slot and a rate token for each, and returns how many, with the
// generation of the breaker. It returns none once ctx is done.
func (a *admission) admit(ctx context.Context) (n int, generation uint64) {
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for ctx.Err() == nil {
		a.heartbeat.beat(heartbeatInterval)
		a.mu.Lock()
		n, wait := a.breaker.admit(time.Now(), a.free(), a.busy)
		a.busy += n
		generation = a.breaker.generation
		a.mu.Unlock()
		a.askIfWanted()
		if n > 0 {
			a.heartbeat.rest() // a token may be far off
			granted := a.rate.take(ctx, n)
			a.giveBack(n-granted, generation)
			return granted, generation
		}
		timer.Reset(min(wait, heartbeatInterval))
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-timer.C:
		}
	}
	return 0, generation
}

// returned gives back what was admitted but brought no delivery.
func (a *admission) returned(n int, generation uint64) {
	a.rate.giveBack(n)
	a.giveBack(n, generation)
}

func (a *admission) giveBack(n int, generation uint64) {
	a.mu.Lock()
	a.busy -= n
	a.breaker.unused(generation, n)
	a.mu.Unlock()
	a.signal()
}

// release gives slots back. It wakes admit only where that could ask for something, which it mostly can't while deliveries
// are ahead.
func (a *admission) release(n int) {
	a.mu.Lock()
	a.busy -= n
	free := a.free()
	a.mu.Unlock()
	if free > 0 {
		a.signal()
	}
}

func (a *admission) signal() { notify(a.wake) }

func notify(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// askIfWanted wakes whoever gives opinions.
func (a *admission) askIfWanted() {
	a.mu.Lock()
	asking := a.breaker.asking
	a.mu.Unlock()
	if asking {
		notify(a.ask)
	}
}

// question tells whether the breaker wants to know if the API works, and in which generation.
func (a *admission) question() (generation uint64, asking bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.breaker.generation, a.breaker.asking
}

// report hands the result of a delivery to the breaker.
func (a *admission) report(r result) {
	a.tell(func(b *breaker) { b.report(time.Now(), r, a.calling) })
}

// opinion hands the answer to a question to the breaker.
func (a *admission) opinion(r result) {
	a.tell(func(b *breaker) { b.opinion(time.Now(), r) })
}

// letGo takes the brake off, on an operator's word; it reports whether it was on.
func (a *admission) letGo() (was bool) {
	a.tell(func(b *breaker) { was = b.release(time.Now()) })
	return was
}

// tell changes the breaker, and says so where its state or the reason changed.
func (a *admission) tell(change func(*breaker)) {
	a.mu.Lock()
	b := a.breaker
	opened, reason, generation := b.opened, b.reason, b.generation
	change(b)
	state, why, until, isOpened := b.state, b.reason, b.until, b.opened
	changed, asking := b.generation != generation, b.asking
	a.mu.Unlock()
	if asking {
		notify(a.ask)
	}
	if changed || state == HalfOpen { // a probe that decided nothing is followed by the next at once
		a.signal()
	}
	switch {
	case state == Open && (!opened || why != reason):
		a.log.Warn("circuit breaker opened: no events are pulled", "reason", why, "next_probe_in", time.Until(until).Round(time.Millisecond))
	case opened && !isOpened:
		a.log.Info("circuit breaker closed: the logout API works again")
	}
}

// enter lets a delivery that was admitted in generation pass to its call, and returns the generation in which the call
// begins; leave must follow. Where calls are paused by now, of its service or of all, it returns how long the delivery must
// stay away.
func (a *admission) enter(generation uint64, service string) (begins uint64, pause time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.holds.enter(now, service); held > 0 {
		return generation, held
	}
	if begins, pause = a.breaker.enter(now, generation, a.calling, a.total); pause == 0 {
		a.calling++
	}
	if a.breaker.asking {
		notify(a.ask)
	}
	return begins, pause
}

// enterAside is enter for a call that no delivery asked for. While the breaker is not closed it never passes.
func (a *admission) enterAside(service string) (generation uint64, pause time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.holds.services[service]; held != nil {
		return 0, max(held.until.Sub(now), minDelay)
	}
	if pause = a.breaker.pause(now); pause == 0 {
		a.calling++
	}
	return a.breaker.generation, pause
}

// holding reports whether a service is held back.
func (a *admission) holding(service string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holds.services[service] != nil
}

// leave ends a call that enter let pass.
func (a *admission) leave() {
	a.mu.Lock()
	a.calling--
	a.mu.Unlock()
}

// pause is for how long an event should stay away whose call failed through the API's fault; 0 while the breaker is closed.
func (a *admission) pause() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.breaker.suspected {
		return 0 // it is not known whose fault it is
	}
	return a.breaker.pause(time.Now())
}

// hold keeps the events back that name this service: the API refuses it, or asks for time.
func (a *admission) hold(service, reason string, wait time.Duration) {
	a.mu.Lock()
	warn := a.holds.hold(time.Now(), service, reason, wait)
	a.mu.Unlock()
	if warn {
		a.log.Warn("the events of a service are held back", "service", service, "reason", reason)
	}
}

// unhold ends a hold.
func (a *admission) unhold(service string) {
	a.mu.Lock()
	was := a.holds.unhold(service)
	a.mu.Unlock()
	if was {
		a.log.Info("the events of a service are no longer held back", "service", service)
	}
}

// holdOf is how long until the next probe of a service that is held back.
func (a *admission) holdOf(service string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.holds.services[service]; held != nil {
		return time.Until(held.until)
	}
	return 0
}

// held lists the services whose events are held back.
func (a *admission) held() []Hold {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holds.list()
}

// blamesEvent reports whether a call that failed now failed because of its event: the breaker was and is closed.
func (a *admission) blamesEvent(generation uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.breaker.state == Closed && a.breaker.generation == generation
}

// braked reports whether CALLER_ERROR holds all events back.
func (a *admission) braked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.breaker.braked
}

func (a *admission) misconfigured() (reason string, misconfigured bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.breaker.reason, a.breaker.misconfig
}

// inFlight is how many calls are being made.
func (a *admission) inFlight() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calling
}

// state is the breaker's, and why it is not closed.
func (a *admission) state() (state BreakerState, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.breaker.state == Closed {
		return Closed, ""
	}
	return a.breaker.state, a.breaker.reason
}

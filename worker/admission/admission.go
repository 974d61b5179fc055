package admission

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"
)

// Heartbeat is told when a loop will come round next. The loop promises nothing while it waits for something outside this process.
type Heartbeat interface {
	Beat(within time.Duration)
	Rest()
}

// heartbeatInterval is how often the loop that admits comes round at least, though nothing has changed.
const heartbeatInterval = 5 * time.Second

// Admission decides how many deliveries may be pulled when: as many as there are free slots, if circuit breaker and rate limit
// allow it. One goroutine admits; any may give slots back and report results.
type Admission struct {
	log       *slog.Logger
	total     int
	rate      *tokens
	wake      chan struct{} // something changed; holds one signal
	ask       chan struct{} // the breaker asks for an opinion; holds one signal
	heartbeat Heartbeat     // of the loop that admits

	mu      sync.Mutex
	busy    int // slots that are taken: by deliveries in hand, and by those that a pull asked for
	ahead   int // deliveries that may be in hand beyond the slots
	calling int // calls being made
	breaker *Breaker
	holds   holds
}

// New returns one for so many slots, and so many calls per second (0 for no limit).
func New(slots int, limit float64, b *Breaker, heartbeat Heartbeat, log *slog.Logger) *Admission {
	return &Admission{
		log:       log,
		heartbeat: heartbeat,
		total:     slots,
		rate:      newTokens(limit, slots),
		wake:      make(chan struct{}, 1),
		ask:       make(chan struct{}, 1),
		breaker:   b,
		holds:     holds{first: b.interval, maximum: max(b.interval, b.maximum/2), services: map[string]*hold{}},
	}
}

// prefetchTime is the time beyond the round trip of a pull for which there should be deliveries in hand. It makes pulls
// few and large: at 64 slots and calls of 20 ms an event then costs a fifth less.
const prefetchTime = 5 * time.Millisecond

// Prefetch sets how many deliveries may be in hand beyond the slots: as many as the slots finish within a pull's round trip
// and prefetchTime, so that a slot that comes free finds the next event there instead of waiting for it. With calls that
// are much longer there are none, because no other worker can take an event that is in hand. With short ones there are as many
// as slots, and a pull brings half of those. With a rate limit there are none, because the slots wait anyway.
func (a *Admission) Prefetch(roundTrip, meanCall time.Duration) {
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
func (a *Admission) free() int {
	free := a.total + a.ahead - a.busy
	if free < a.ahead/2 {
		return 0
	}
	return max(free, 0)
}

// Admit waits until deliveries may be pulled, takes a slot and a rate token for each, and returns how many, with the
// generation of the breaker. It returns none once ctx is done.
func (a *Admission) Admit(ctx context.Context) (n int, generation uint64) {
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for ctx.Err() == nil {
		a.heartbeat.Beat(heartbeatInterval)
		a.mu.Lock()
		n, wait := a.breaker.Admit(time.Now(), a.free(), a.busy)
		a.busy += n
		generation = a.breaker.generation
		a.mu.Unlock()
		a.askIfWanted()
		if n > 0 {
			a.heartbeat.Rest() // a token may be far off
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

// Returned gives back what was admitted but brought no delivery.
func (a *Admission) Returned(n int, generation uint64) {
	a.rate.giveBack(n)
	a.giveBack(n, generation)
}

func (a *Admission) giveBack(n int, generation uint64) {
	a.mu.Lock()
	a.busy -= n
	a.breaker.Unused(generation, n)
	a.mu.Unlock()
	a.signal()
}

// Release gives slots back. It wakes admit only where that could ask for something, which it mostly can't while deliveries
// are ahead.
func (a *Admission) Release(n int) {
	a.mu.Lock()
	a.busy -= n
	free := a.free()
	a.mu.Unlock()
	if free > 0 {
		a.signal()
	}
}

// Take waits for up to n tokens of the rate limit, and returns how many it got; none once ctx is done.
func (a *Admission) Take(ctx context.Context, n int) int { return a.rate.take(ctx, n) }

// Asked is signalled when the breaker asks for an opinion.
func (a *Admission) Asked() <-chan struct{} { return a.ask }

func (a *Admission) signal() { notify(a.wake) }

func notify(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// askIfWanted wakes whoever gives opinions.
func (a *Admission) askIfWanted() {
	a.mu.Lock()
	asking := a.breaker.asking
	a.mu.Unlock()
	if asking {
		notify(a.ask)
	}
}

// Question tells whether the breaker wants to know if the API works, in which generation, and how many calls the answer may take.
func (a *Admission) Question() (generation uint64, calls int, asking bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if calls = OpinionCalls; a.breaker.state == HalfOpen && a.breaker.refused && !a.breaker.suspected {
		calls = 1
	}
	return a.breaker.generation, calls, a.breaker.asking
}

// Report hands the result of a delivery to the breaker.
func (a *Admission) Report(r Result) {
	a.tell(func(b *Breaker) { b.Report(time.Now(), r, a.calling) })
}

// Opinion hands the answer to a question to the breaker.
func (a *Admission) Opinion(r Result) {
	a.tell(func(b *Breaker) { b.Opinion(time.Now(), r) })
}

// LetGo takes the brake off, on an operator's word; it reports whether it was on.
func (a *Admission) LetGo() (was bool) {
	a.tell(func(b *Breaker) { was = b.Release(time.Now()) })
	return was
}

// tell changes the breaker, and says so where its state or the reason changed.
func (a *Admission) tell(change func(*Breaker)) {
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

// Enter lets a delivery that was admitted in generation pass to its call, and returns the generation in which the call
// begins; leave must follow. Where calls are paused by now, of its service or of all, it returns how long the delivery must
// stay away.
func (a *Admission) Enter(generation uint64, service string) (begins uint64, pause time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.holds.enter(now, service); held > 0 {
		return generation, held
	}
	if begins, pause = a.breaker.Enter(now, generation, a.calling, a.total); pause == 0 {
		a.calling++
	}
	if a.breaker.asking {
		notify(a.ask)
	}
	return begins, pause
}

// EnterAside is enter for a call that no delivery asked for. While the breaker is not closed it never passes.
func (a *Admission) EnterAside(service string) (generation uint64, pause time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.holds.services[service]; held != nil {
		return 0, max(held.until.Sub(now), MinDelay)
	}
	if pause = a.breaker.Pause(now); pause == 0 {
		a.calling++
	}
	return a.breaker.generation, pause
}

// Holding reports whether a service is held back.
func (a *Admission) Holding(service string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holds.services[service] != nil
}

// Leave ends a call that enter let pass.
func (a *Admission) Leave() {
	a.mu.Lock()
	a.calling--
	a.mu.Unlock()
}

// Pause is for how long an event should stay away whose call failed through the API's fault; 0 while the breaker is closed.
func (a *Admission) Pause() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.breaker.suspected {
		return 0 // it is not known whose fault it is
	}
	return a.breaker.Pause(time.Now())
}

// Hold keeps the events back that name this service: the API refuses it, or asks for time.
func (a *Admission) Hold(service, reason string, wait time.Duration) {
	a.mu.Lock()
	warn := a.holds.hold(time.Now(), service, reason, wait)
	a.mu.Unlock()
	if warn {
		a.log.Warn("the events of a service are held back", "service", service, "reason", reason)
	}
}

// Unhold ends a hold.
func (a *Admission) Unhold(service string) {
	a.mu.Lock()
	was := a.holds.unhold(service)
	a.mu.Unlock()
	if was {
		a.log.Info("the events of a service are no longer held back", "service", service)
	}
}

// HoldOf is how long until the next probe of a service that is held back.
func (a *Admission) HoldOf(service string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.holds.services[service]; held != nil {
		return time.Until(held.until)
	}
	return 0
}

// Held lists the services whose events are held back.
func (a *Admission) Held() []Hold {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holds.list()
}

// BlamesEvent reports whether a call that failed now failed because of its event: the breaker was and is closed.
func (a *Admission) BlamesEvent(generation uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.breaker.state == Closed && a.breaker.generation == generation
}

// Braked reports whether CALLER_ERROR holds all events back.
func (a *Admission) Braked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.breaker.braked
}

func (a *Admission) Misconfigured() (reason string, misconfigured bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.breaker.reason, a.breaker.misconfig
}

// InFlight is how many calls are being made.
func (a *Admission) InFlight() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calling
}

// State is the breaker's, and why it is not closed.
func (a *Admission) State() (state State, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.breaker.state == Closed {
		return Closed, ""
	}
	return a.breaker.state, a.breaker.reason
}

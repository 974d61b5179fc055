package admission

import (
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

// Admission decides how many deliveries may be pulled when, and which of them may begin their call: as many as the adaptive
// limit, the rate and the circuit breaker allow, live ones first. Any goroutine may call it, but for Admit, which is for one of
// each lane.
type Admission struct {
	log   *slog.Logger
	local *localDelay
	ask   chan struct{} // the breaker asks for an opinion; holds one signal
	slots *sync.Cond    // of mu: a delivery may begin, or a slot may end

	mu       sync.Mutex
	lanes    [lanes]laneState
	limit    *Limit
	rate     *Rate
	tokens   tokens
	timer    *time.Timer // wakes slots when there is a token
	armed    bool        // it runs
	clock    *time.Timer // looks whether this process runs when it should
	checking bool        // the one call is out that shows whether the API accepts calls again
	draining bool        // what waits is handed back
	passed   bool        // half-open: live had no event to probe with, so that bulk may

	roundTrip, meanCall time.Duration // of pulls, and of calls
	calling             int           // calls being made
	breaker             *Breaker
	holds               holds
}

// New returns one for calls within the limit, and within rate calls per second (0 for no limit). The heartbeats are those of the
// loops that admit, by lane.
func New(limit *Limit, rate float64, b *Breaker, beats [2]Heartbeat, log *slog.Logger) *Admission {
	a := &Admission{
		log:     log,
		local:   newLocalDelay(),
		ask:     make(chan struct{}, 1),
		limit:   limit,
		rate:    NewRate(),
		tokens:  tokens{most: rate, slots: limit.bound},
		breaker: b,
		holds:   holds{first: b.interval, maximum: max(b.interval, b.maximum/2), services: map[string]*hold{}},
	}
	a.slots = sync.NewCond(&a.mu)
	a.timer = time.AfterFunc(math.MaxInt64, a.tick)
	a.clock = time.AfterFunc(math.MaxInt64, a.look)
	for i := range a.lanes {
		a.lanes[i] = laneState{wake: make(chan struct{}, 1), heartbeat: beats[i]}
	}
	return a
}

// Asked is signalled when the breaker asks for an opinion.
func (a *Admission) Asked() <-chan struct{} { return a.ask }

// signal wakes the loops that admit.
func (a *Admission) signal() {
	for i := range a.lanes {
		notify(a.lanes[i].wake)
	}
}

func notify(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
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

// Report hands the result of a delivery to breaker, limit and rate. A refusal that asks for a short time slows down instead of
// opening the breaker.
func (a *Admission) Report(r Result) {
	unlimited := false
	a.tell(func(b *Breaker) {
		now, before := time.Now(), a.rate.Learned()
		a.learn(now, r)
		unlimited = before == 0 && a.rate.Learned() > 0
		if r.Throttled && r.Wait <= longPause && b.state == Closed {
			return
		}
		b.Report(now, r, a.calling)
	})
	if unlimited {
		reason := r.Reason
		if !r.Throttled {
			reason = "its answers state the rate"
		}
		a.log.Info("the API limits the rate of calls; from now on it is followed", "reason", reason)
	}
}

// learn tells limit and rate what a call says. The caller holds mu.
func (a *Admission) learn(now time.Time, r Result) {
	if r.Took <= 0 {
		return
	}
	a.checking = false
	if r.Throttled {
		a.rate.Refused(now, min(r.Wait, maxPause))
	} else if r.Ended == Answered {
		a.rate.Accepted(now)
	}
	if r.Stated > 0 || r.StatedPause > 0 {
		a.rate.States(now, r.Stated, r.StatedPause)
	}
	before, _ := a.limit.Now(now)
	a.limit.Called(now, Call{Ended: r.Ended, Took: r.Took, InFlight: a.working(), Local: a.local.mean(now), Stall: a.local.stall(now)})
	if after, _ := a.limit.Now(now); after > before {
		a.signal()
	}
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
	if changed {
		a.passed = false
		a.slots.Signal()
	}
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
	if begins, pause = a.breaker.Enter(now, generation); pause == 0 {
		a.calling++
		a.planLook(now)
	}
	if a.breaker.asking {
		notify(a.ask)
	}
	return begins, pause
}

// planLook sees to a look at the clock while calls are made. The caller holds mu.
func (a *Admission) planLook(now time.Time) {
	if a.local.due.IsZero() {
		a.local.plan(now)
		a.clock.Reset(lookInterval)
	}
}

func (a *Admission) look() {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.local.looked(now)
	if a.calling > 0 {
		a.planLook(now)
	}
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

// Misconfigured tells whether an operator must act before any call can succeed, and why.
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

// Present is how many calls may be in flight while the breaker is closed, and how many calls per second the API was found to
// allow, 0 for none.
func (a *Admission) Present() (limit int, rate float64) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	limit, _ = a.limit.Now(now)
	return limit, a.rate.Learned()
}

// Capacity is what may be done now.
type Capacity struct {
	// Limit is how many calls may be in flight, and Cause why no more.
	Limit int
	Cause Cause
	// Rate is how many calls per second the API was found to allow; 0 while no limit was met.
	Rate float64
}

// Capacity returns it.
func (a *Admission) Capacity() Capacity {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	limit, _ := a.limit.Now(now)
	c := Capacity{Limit: limit, Cause: a.limit.Why(), Rate: a.rate.Learned()}
	switch {
	case a.breaker.state != Closed:
		c.Limit, c.Cause = 0, ByBreaker
	case c.Rate > 0 && c.Rate*a.meanCall.Seconds() < float64(limit): // otherwise the limit is met before the rate is
		c.Cause = ByRate
	}
	return c
}

package worker

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"revoker/config"
	"revoker/worker/admission"
	"revoker/worker/retry"
)

// simulation plays a queue, an API and workers around their breakers, pacers and retry policies, with a clock of its own: hours
// in a second. What it plays of a worker is what process, learn, delay and adviser do with one delivery.
type simulation struct {
	random  *rand.Rand
	now     time.Time
	agenda  agenda
	queue   []*simEvent // never delivered, in their order
	due     dueEvents   // handed back
	newest  *simEvent
	stored  int
	workers []*simWorker
	api     func(e *simEvent) (simKind, time.Duration)
	// supply, if not nil, makes the next new event whenever the queue is empty: a backlog without an end.
	supply func() *simEvent

	calls, revoked int
	revokedAt      func(e *simEvent) // told of each
}

// simKind is how a call ends.
type simKind int

const (
	simOK       simKind = iota
	simAnswered         // SERVER_ERROR
	simBare500          // no action
	simHTML             // a gateway's page with 200
	sim504              // a gateway's, late
	simTimeout          // no answer at all
	simRejected         // CALLER_ERROR
)

// outcome and status are what the worker makes of it.
func (k simKind) outcome() (Outcome, int) {
	switch k {
	case simOK:
		return Revoked, 200
	case simRejected:
		return CallerError, 400
	case simHTML:
		return Retry, 200
	case simTimeout:
		return Retry, 0
	}
	return Retry, 500
}

// ended is what it says of load.
func (k simKind) ended() admission.Ended {
	switch k {
	case simOK, simRejected:
		return admission.Answered
	case sim504, simTimeout:
		return admission.Overloaded
	}
	return admission.Unknown
}

// simEvent is one stored event.
type simEvent struct {
	session    int
	published  time.Time
	revoked    time.Time // zero until it is
	deliveries int
	failures   int // yet to come by the session's own fault
	kind       simKind
	at         time.Time // when it is due again
}

type dueEvents []*simEvent

func (d dueEvents) Len() int           { return len(d) }
func (d dueEvents) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d dueEvents) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dueEvents) Push(x any)        { *d = append(*d, x.(*simEvent)) }
func (d *dueEvents) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

// appointment is something that happens at a time.
type appointment struct {
	at time.Time
	do func()
}

type agenda []appointment

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// simWorker is one worker.
type simWorker struct {
	s        *simulation
	limit    *admission.Limit
	breaker  *admission.Breaker
	pacer    *retry.Pacer
	handBack *retry.Pacer
	retries  retry.Policy
	slots    int
	calling  int
	advising bool
	failed   *simEvent // the newest event for which an opinion failed
	wake     time.Time // the appointment to look again; zero for none

	openings int
}

func newSimulation(seed uint64, workers, slots int) *simulation {
	cfg := config.Default()
	cfg.Concurrency = slots
	s := &simulation{random: rand.New(rand.NewPCG(seed, seed)), now: time.Unix(1_700_000_000, 0)}
	s.api = func(e *simEvent) (simKind, time.Duration) { return s.session(e, 20*time.Millisecond) }
	for range workers {
		limit := admission.NewLimit(slots)
		w := &simWorker{
			s: s, slots: slots, retries: retryPolicy(cfg), limit: limit,
			breaker: admission.NewBreaker(cfg.BreakerFailures, cfg.CallerErrorBrake, limit, cfg.BreakerProbeInterval, cfg.BreakerMaxProbeInterval),
		}
		w.pacer, w.handBack = newPacers(cfg, s.now, func() (int, float64) {
			n, _ := limit.Now(s.now)
			return n, 0
		})
		s.workers = append(s.workers, w)
	}
	return s
}

// session is how a call ends by the session's own fault, or its luck.
func (s *simulation) session(e *simEvent, latency time.Duration) (simKind, time.Duration) {
	latency = latency/2 + time.Duration(s.random.Int64N(int64(latency)))
	if e.failures == 0 {
		return simOK, latency
	}
	switch e.kind {
	case sim504:
		return e.kind, time.Second
	case simTimeout:
		return e.kind, 10 * time.Second
	}
	return e.kind, latency
}

func (s *simulation) after(d time.Duration, do func()) {
	heap.Push(&s.agenda, appointment{s.now.Add(d), do})
}

// publish stores an event that fails so often in this way.
func (s *simulation) publish(failures int, kind simKind) *simEvent {
	e := s.store(failures, kind)
	s.queue = append(s.queue, e)
	s.pumpAll()
	return e
}

func (s *simulation) store(failures int, kind simKind) *simEvent {
	s.stored++
	e := &simEvent{session: s.stored, published: s.now, failures: failures, kind: kind}
	s.newest = e
	return e
}

// retrying stores an event that was delivered some times and is due at some time within the span.
func (s *simulation) retrying(deliveries, failures int, kind simKind, span time.Duration) *simEvent {
	e := s.store(failures, kind)
	e.deliveries, e.at = deliveries, s.now.Add(time.Duration(s.random.Int64N(int64(span))))
	heap.Push(&s.due, e)
	return e
}

// run plays for a time.
func (s *simulation) run(d time.Duration) {
	end := s.now.Add(d)
	s.pumpAll()
	for len(s.agenda) > 0 && !s.agenda[0].at.After(end) {
		next := heap.Pop(&s.agenda).(appointment)
		s.now = next.at
		next.do()
	}
	s.now = end
}

func (s *simulation) pumpAll() {
	first := s.random.IntN(len(s.workers))
	for i := range s.workers {
		s.workers[(first+i)%len(s.workers)].pump()
	}
}

// take is the next delivery: those that are due come first.
func (s *simulation) take() *simEvent {
	if len(s.due) > 0 && !s.due[0].at.After(s.now) {
		return heap.Pop(&s.due).(*simEvent)
	}
	s.refill()
	if len(s.queue) == 0 {
		return nil
	}
	e := s.queue[0]
	s.queue = s.queue[1:]
	return e
}

// refill keeps a backlog without an end.
func (s *simulation) refill() {
	for s.supply != nil && len(s.queue) < 200 {
		s.queue = append(s.queue, s.supply())
	}
}

// pump begins what may begin.
func (w *simWorker) pump() {
	limit, again := w.limit.Now(w.s.now)
	n, wait := w.breaker.Admit(w.s.now, limit-w.calling)
	if again > 0 {
		wait = min(wait, again)
	}
	generation := w.breaker.Generation()
	w.advise()
	for ; n > 0; n-- {
		e := w.s.take()
		if e == nil {
			w.breaker.Unused(generation, n)
			break
		}
		w.call(e, generation)
	}
	if w.breaker.State() == admission.Closed && w.calling >= limit && w.s.waiting() != nil {
		wait = min(wait, w.limit.Full(w.s.now))
	}
	if len(w.s.due) > 0 {
		wait = min(wait, max(w.s.due[0].at.Sub(w.s.now), time.Millisecond))
	}
	w.lookAgain(min(wait, time.Second))
}

func (w *simWorker) lookAgain(wait time.Duration) {
	at := w.s.now.Add(wait)
	if !w.wake.IsZero() && !w.wake.After(at) && w.wake.After(w.s.now) {
		return
	}
	w.wake = at
	w.s.after(wait, func() {
		if w.wake.Equal(at) {
			w.wake = time.Time{}
			w.pump()
		}
	})
}

// call is attempt.
func (w *simWorker) call(e *simEvent, generation uint64) {
	e.deliveries++
	w.calling++
	w.s.calls++
	pending := uint64(len(w.s.queue))
	kind, took := w.s.api(e)
	w.s.after(took, func() {
		w.limit.Called(w.s.now, admission.Call{Ended: kind.ended(), Took: took, InFlight: w.calling})
		w.calling--
		w.pacer.Observe(took)
		first := uint64(0)
		if e.deliveries == 1 {
			first = uint64(e.session)
		}
		w.pacer.Waiting(w.s.now, 0, first, pending)
		w.tell(func() { w.breaker.Report(w.s.now, w.result(e, kind, generation), w.calling+1) })
		w.settle(e, kind)
		w.pump()
	})
}

func (w *simWorker) result(e *simEvent, kind simKind, generation uint64) admission.Result {
	outcome, status := kind.outcome()
	verdict, _ := judge(outcome, status, false, false, false)
	return admission.Result{Generation: generation, Session: strconv.Itoa(e.session), Reason: "down", Verdict: verdict}
}

// tell counts openings.
func (w *simWorker) tell(change func()) {
	was := w.breaker.State()
	if change(); w.breaker.State() == admission.Open && was != admission.Open {
		w.openings++
	}
}

// settle is settle, with delay.
func (w *simWorker) settle(e *simEvent, kind simKind) {
	outcome, _ := kind.outcome()
	switch {
	case outcome == Revoked:
		w.s.done(e)
		return
	case outcome == CallerError && !w.breaker.Braked():
		return
	}
	e.failures = max(e.failures-1, 0)
	delay := time.Duration(0)
	if pause := w.breaker.Pause(w.s.now); pause > 0 && !w.breaker.Suspected() {
		delay = w.handBack.Place(w.s.now, pause)
	} else {
		delay = w.pacer.Place(w.s.now, w.retries.Delay(e.deliveries))
	}
	e.at = w.s.now.Add(delay)
	heap.Push(&w.s.due, e)
}

func (s *simulation) done(e *simEvent) {
	if e.revoked.IsZero() {
		e.revoked = s.now
		s.revoked++
		if s.revokedAt != nil {
			s.revokedAt(e)
		}
	}
}

// advise is adviser: the newest event and one from anywhere among those that wait are asked about at a time.
func (w *simWorker) advise() {
	if !w.breaker.Asking() || w.advising {
		return
	}
	w.advising = true
	w.s.refill()
	generation, newest := w.breaker.Generation(), w.s.newest
	var candidates []*simEvent
	if newest != nil && newest != w.failed {
		candidates = append(candidates, newest)
	}
	for range admission.OpinionCalls {
		if other := w.s.waiting(); len(candidates) < admission.OpinionCalls && other != nil && !slices.Contains(candidates, other) {
			candidates = append(candidates, other)
		}
	}
	open, r := len(candidates), admission.Result{}
	if open == 0 {
		w.s.after(0, func() { w.advised(generation, r) })
	}
	for _, e := range candidates {
		w.s.calls++
		kind, took := w.s.api(e)
		w.s.after(took, func() {
			open--
			answer := w.result(e, kind, generation)
			switch {
			case kind == simOK:
				w.s.done(e)
				r = answer
			case r.Verdict != admission.Working:
				r = answer
			}
			if kind != simOK && e == newest {
				w.failed = e
			}
			if w.advising && (open == 0 || kind == simOK) {
				w.advised(generation, r)
			}
		})
	}
}

func (w *simWorker) advised(generation uint64, r admission.Result) {
	w.advising = false
	r.Generation = generation
	w.tell(func() { w.breaker.Opinion(w.s.now, r) })
	w.pump()
}

// waiting is any event that was never delivered, or else any that is not settled.
func (s *simulation) waiting() *simEvent {
	switch {
	case len(s.queue) > 0:
		return s.queue[s.random.IntN(len(s.queue))]
	case len(s.due) > 0:
		return s.due[s.random.IntN(len(s.due))]
	}
	return nil
}

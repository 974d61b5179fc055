package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/worker/admission"
	"revoker/worker/authlete"
)

const (
	// pullWait is how long one pull waits for events. A drain waits as long, for the last pull.
	pullWait = time.Second
	// The wait after a pull that the server did not serve grows between these.
	minPullPause = 100 * time.Millisecond
	maxPullPause = 2 * time.Second
)

// Worker is one worker. Its Run is called once.
type Worker struct {
	cfg     config.Config
	service string   // of events that name none
	allowed []string // further services that events may name

	consumer *events.Consumer
	letters  *events.DeadLetters
	api      *authlete.Client
	log      *slog.Logger
	observe  func(Settlement)

	admission *admission.Admission
	waiting   chan inHand   // deliveries without a slot yet; closed after pulled
	pulled    chan struct{} // closed when the last pull is over
	pulling   *heartbeat    // of the loop that admits and pulls
	renewer   *renewer
	pacer     *pacer // of failed attempts
	handBack  *pacer // of events that are handed back through no fault of theirs
	retries   retryPolicy
	charges   charges
	early     early
	failures  *failureLog
	tracing   *tracing
	unserved  atomic.Pointer[string] // why pulls are not served; nil while they are

	lastOK      atomic.Int64                   // when a session was last revoked, ns since epoch; 0 for never
	lastRevoked atomic.Pointer[revokedSession] // one that was revoked lately
	handedBack  atomic.Bool                    // an event was handed back since the bypass looked last
	counts      counts
}

// maxHandBack bounds how many events per second come back that were handed back through no fault of theirs: 60,000 of a
// refused service return within 20 s, and cost a few percent of a core while it goes on being refused.
const maxHandBack = 3000

// New returns a worker. observe, if not nil, is told of each settlement, by many goroutines at a time.
func New(cfg config.Config, consumer *events.Consumer, letters *events.DeadLetters, api *authlete.Client, log *slog.Logger, observe func(Settlement)) *Worker {
	b := admission.NewBreaker(cfg.BreakerFailures, cfg.CallerErrorBrake, cfg.Concurrency, cfg.BreakerProbeInterval, cfg.BreakerMaxProbeInterval)
	longest := 2 * cfg.RetryMaxInterval
	pulling := &heartbeat{}
	attempts := newPacer(cfg.Concurrency, cfg.RetryShare, cfg.RateLimit, longest)
	handBack := newPacer(cfg.Concurrency, 1, maxHandBack, longest)
	handBack.calls = attempts
	return &Worker{
		cfg:       cfg,
		service:   cfg.API.ServiceID,
		allowed:   cfg.API.AllowedServiceIDs,
		consumer:  consumer,
		letters:   letters,
		api:       api,
		log:       log,
		observe:   observe,
		admission: admission.New(cfg.Concurrency, cfg.RateLimit, b, pulling, log),
		waiting:   make(chan inHand, 2*cfg.Concurrency), // more than is ever admitted
		pulled:    make(chan struct{}),
		pulling:   pulling,
		renewer:   newRenewer(consumer.AckWait),
		pacer:     attempts,
		handBack:  handBack,
		retries:   newRetryPolicy(cfg),
		failures:  newFailureLog(log),
	}
}

// Run works until ctx is done, then drains: it pulls no more, hands back what it had not begun, lets calls in flight finish
// for the drain timeout, and hands the rest back. It returns when every delivery is settled.
func (w *Worker) Run(ctx context.Context) {
	w.log.Info("working", "stream", w.cfg.Stream, "consumer", w.cfg.Consumer, "concurrency", w.cfg.Concurrency)
	// Work outlives ctx, by which only pulling ends; and renewing outlives work.
	workCtx, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	renewCtx, endRenewing := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { w.renewer.run(renewCtx) })
	helpers.Go(func() { w.boundDrain(ctx, workCtx, cutOff) })
	helpers.Go(func() { w.advise(workCtx) })
	helpers.Go(func() { (&bypass{w: w}).run(ctx) })

	var slots sync.WaitGroup
	for range w.cfg.Concurrency {
		slots.Go(func() { w.slot(ctx, workCtx) })
	}

	w.pull(ctx)
	slots.Wait()
	cutOff()
	endRenewing()
	helpers.Wait()
	w.log.Info("drained")
}

// boundDrain cuts work off when it goes on for the drain timeout after ctx is done.
func (w *Worker) boundDrain(ctx, workCtx context.Context, cutOff context.CancelFunc) {
	<-ctx.Done()
	w.log.Info("draining: no more events are pulled", "in_flight", w.admission.InFlight(), "timeout", w.cfg.DrainTimeout)
	timer := time.NewTimer(w.cfg.DrainTimeout)
	defer timer.Stop()
	select {
	case <-workCtx.Done():
	case <-timer.C:
		w.log.Warn("the drain timeout has passed: calls in flight are cut off and their events handed back", "in_flight", w.admission.InFlight())
		cutOff()
	}
}

// pull asks for as many events as may be in hand, again and again until ctx is done.
func (w *Worker) pull(ctx context.Context) {
	defer close(w.waiting)
	defer close(w.pulled)
	defer w.pulling.Rest()
	trouble := outage{shown: &w.unserved}
	for {
		n, generation := w.admission.Admit(ctx)
		if n == 0 {
			return
		}
		w.pulling.Beat(pullWait)
		began, arrived := time.Now(), time.Duration(0)
		got, err := w.consumer.Pull(n, pullWait, func(d *events.Delivery) {
			if arrived == 0 {
				arrived = time.Since(began)
			}
			w.renewer.add(d)
			w.waiting <- inHand{d, generation}
		})
		w.admission.Returned(n-got, generation)
		if err != nil {
			trouble.report(w.log, err)
			w.restore(ctx, &trouble)
			continue
		}
		trouble.end(w.log)
		if got == n { // there is a backlog: the first event was not waited for
			w.admission.Prefetch(w.pacer.pulled(arrived))
		}
	}
}

// restore waits a little and sets streams and consumer up again, until that succeeds or ctx is done.
func (w *Worker) restore(ctx context.Context, trouble *outage) {
	w.pulling.Rest() // it may wait for the connection
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(trouble.pause()):
		}
		err := w.consumer.Restore(ctx)
		if err == nil || ctx.Err() != nil {
			w.renewer.reset()
			return
		}
		trouble.report(w.log, err)
	}
}

// outage is a time in which events are not served. It says each reason once, and when it is over.
type outage struct {
	shown  *atomic.Pointer[string] // the reason, for others to read
	reason string
	wait   time.Duration
}

func (o *outage) report(log *slog.Logger, err error) {
	if text := err.Error(); text != o.reason {
		log.Warn("events are not served; trying again", "error", err)
		o.reason = text
		o.shown.Store(&text)
	}
}

// pause doubles from one try to the next.
func (o *outage) pause() time.Duration {
	o.wait = min(max(2*o.wait, minPullPause), maxPullPause)
	return o.wait
}

func (o *outage) end(log *slog.Logger) {
	if o.reason != "" {
		log.Info("events are served again")
		o.shown.Store(nil)
		*o = outage{shown: o.shown}
	}
}

// inHand is a delivery that waits for a slot, with the generation in which it was admitted.
type inHand struct {
	delivery   *events.Delivery
	generation uint64
}

// slot makes calls, one at a time, as long as there are deliveries. Slots are goroutines that stay, since one for each
// delivery would grow its stack anew each time, which took a tenth of all the time. What had no slot when the drain began
// is handed back once the last pull is over: while it is open the server would deliver the same events to it again.
func (w *Worker) slot(ctx, workCtx context.Context) {
	caller := w.api.Caller(workCtx)
	defer caller.Close()
	for next := range w.waiting {
		if ctx.Err() == nil {
			w.process(workCtx, caller, next)
		} else {
			<-w.pulled
			w.settle(&attempt{delivery: next.delivery, outcome: Interrupted, detail: "it had not begun when the worker was stopped"})
		}
		w.admission.Release(1)
	}
}

// Misconfigured tells whether the API refuses every call because of the configuration, and why.
func (w *Worker) Misconfigured() (reason string, misconfigured bool) {
	return w.admission.Misconfigured()
}

// State says how the worker is: its work, and its circuit breaker.
func (w *Worker) State() events.WorkerState {
	breaker, reason := w.admission.State()
	state := events.WorkerState{InFlight: w.admission.InFlight(), InHand: w.renewer.count(), Breaker: string(breaker), Reason: reason, Braked: w.admission.Braked()}
	state.BreakerSince, state.NextProbe = w.admission.Outage()
	for _, held := range w.admission.Held() {
		state.Held = append(state.Held, events.HeldService{Service: held.Service, Reason: held.Reason, Since: held.Since})
	}
	return state
}

// LetGo takes the brake off that CALLER_ERROR for many sessions in a row put on (REVOKER_CALLER_ERROR_BRAKE), until the next
// OK. It reports whether it was on.
func (w *Worker) LetGo() (was bool) { return w.admission.LetGo() }

// Unserved says why the worker gets no events from the server, empty if it does or asks for none.
func (w *Worker) Unserved() string {
	if reason := w.unserved.Load(); reason != nil {
		return *reason
	}
	return ""
}

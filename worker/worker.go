package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/events/peer"
	"revoker/worker/admission"
	"revoker/worker/authlete"
	"revoker/worker/retry"
)

const (
	// The wait after a pull that the server did not serve grows between these.
	minPullPause = 100 * time.Millisecond
	maxPullPause = 2 * time.Second
	// laneInterval is how often a worker looks whether the bulk lane was set up.
	laneInterval = 5 * time.Second
)

// Worker is one worker. Its Run is called once.
type Worker struct {
	cfg     config.Config
	service string   // of events that name none
	allowed []string // further services that events may name

	consumers [2]*events.Consumer // by lane; nil for a lane that is switched off
	letters   *events.DeadLetters
	receipts  *events.Receipts // nil while they are off
	confirms  sync.WaitGroup   // deliveries that wait for the confirmation of their receipt, or for another try
	unstored  unstored
	proofs    proofs
	api       *authlete.Client
	log       *slog.Logger
	observe   func(Settlement)

	admission *admission.Admission
	waiting   [2]chan inHand // deliveries without a slot yet, by lane
	pulled    chan struct{}  // closed when the last pulls are over
	pulling   [2]*heartbeat  // of the loops that admit and pull
	slots     slotBeats
	renewer   *renewer
	pacer     *retry.Pacer // of failed attempts
	handBack  *retry.Pacer // of events that are handed back through no fault of theirs
	retries   retry.Policy
	roundTrip meanTime // from a pull to its first event
	charges   charges
	early     early
	failures  *failureLog
	tracing   *tracing
	unserved  [2]atomic.Pointer[string] // why pulls are not served, by lane; nil while they are

	lastRevoked atomic.Pointer[revokedSession] // one that was revoked lately
	handedBack  [2]atomic.Bool                 // an event of the lane was handed back since its bypass looked last
	counts      counts
	sources     sources
}

// laneNames are the lanes' names for others.
var laneNames = [2]config.Lane{admission.Live: config.Live, admission.Bulk: config.Bulk}

// New returns a worker. observe, if not nil, is told of each settlement, by many goroutines at a time.
func New(cfg config.Config, consumers *events.Consumers, letters *events.DeadLetters, api *authlete.Client, log *slog.Logger, observe func(Settlement)) *Worker {
	limit := admission.NewLimit(cfg.Concurrency)
	b := admission.NewBreaker(cfg.BreakerFailures, cfg.CallerErrorBrake, limit, cfg.BreakerProbeInterval, cfg.BreakerMaxProbeInterval)
	w := &Worker{
		cfg:       cfg,
		service:   cfg.API.ServiceID,
		allowed:   cfg.API.AllowedServiceIDs,
		consumers: [2]*events.Consumer{consumers.Live, consumers.Bulk},
		letters:   letters,
		api:       api,
		log:       log,
		observe:   observe,
		pulled:    make(chan struct{}),
		pulling:   [2]*heartbeat{{}, {}},
		retries:   retryPolicy(cfg),
		failures:  newFailureLog(log),
	}
	w.admission = admission.New(limit, cfg.RateLimit, b, [2]admission.Heartbeat{w.pulling[0], w.pulling[1]}, log)
	w.pacer, w.handBack = newPacers(cfg, time.Now(), w.admission.Present)
	w.renewer = newRenewer(w.ackWait)
	for lane := range w.waiting {
		w.waiting[lane] = make(chan inHand, (1+admission.MaxAhead)*cfg.Concurrency+1) // more than is ever admitted
	}
	return w
}

// ackWait is the shorter one of the lanes'.
func (w *Worker) ackWait() time.Duration {
	wait := w.consumers[admission.Live].AckWait()
	if bulk := w.consumers[admission.Bulk]; bulk != nil && bulk.Ready() {
		wait = min(wait, bulk.AckWait())
	}
	return wait
}

// Run works until ctx is done, then drains: it pulls no more, hands back what it had not begun, lets calls in flight finish
// for the drain timeout, and hands the rest back. It returns when every delivery is settled.
func (w *Worker) Run(ctx context.Context) {
	serving := []any{"stream", w.cfg.Stream, "consumer", w.cfg.Consumer}
	if bulk := w.consumers[admission.Bulk]; bulk != nil && bulk.Ready() {
		serving = append(serving, "bulk_consumer", w.cfg.In(config.Bulk).Consumer)
	}
	w.log.Info("working", append(serving, "concurrency", w.cfg.Concurrency)...)
	// Work outlives ctx, by which only pulling ends; and renewing outlives work.
	workCtx, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	renewCtx, endRenewing := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { w.renewer.run(renewCtx) })
	helpers.Go(func() { w.boundDrain(ctx, workCtx, cutOff) })
	helpers.Go(func() { w.advise(workCtx) })
	var pulls sync.WaitGroup
	for lane, consumer := range w.consumers {
		lane := admission.Lane(lane)
		if consumer == nil {
			w.admission.End(lane)
			continue
		}
		helpers.Go(func() { (&bypass{w: w, lane: lane, consumer: consumer}).run(ctx) })
		pulls.Go(func() {
			defer w.admission.End(lane)
			w.pull(ctx, lane, consumer)
		})
	}
	var slots sync.WaitGroup
	for range w.cfg.Concurrency {
		slots.Go(func() { w.slot(ctx, workCtx) })
	}

	pulls.Wait()
	close(w.pulled)
	slots.Wait()
	w.unstored.end()
	w.confirms.Wait() // events gives each up after seconds
	cutOff()
	endRenewing()
	helpers.Wait()
	w.log.Info("drained")
}

// boundDrain cuts work off when it goes on for the drain timeout after ctx is done.
func (w *Worker) boundDrain(ctx, workCtx context.Context, cutOff context.CancelFunc) {
	<-ctx.Done()
	w.admission.Drain()
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

// pull asks for as many events of the lane as may be in hand, again and again until ctx is done.
func (w *Worker) pull(ctx context.Context, lane admission.Lane, consumer *events.Consumer) {
	heartbeat := w.pulling[lane]
	defer heartbeat.Rest()
	trouble := outage{shown: &w.unserved[lane], log: w.log.With("lane", laneNames[lane])}
	if !consumer.Ready() {
		w.restore(ctx, lane, consumer, &trouble)
	}
	for {
		grant := w.admission.Admit(ctx, lane)
		if grant.N == 0 {
			return
		}
		heartbeat.Beat(grant.Wait)
		began, arrived := time.Now(), time.Duration(0)
		got, err := consumer.Pull(grant.N, grant.Wait, func(d *events.Delivery) {
			if arrived == 0 {
				arrived = time.Since(began)
			}
			w.renewer.add(d)
			w.waiting[lane] <- inHand{d, grant.Generation}
			w.admission.Arrived(lane, d.Pending > 0)
		})
		w.admission.Returned(lane, grant.N-got, grant.Generation)
		if err != nil {
			trouble.report(err)
			w.restore(ctx, lane, consumer, &trouble)
			continue
		}
		trouble.end()
		if got == grant.N { // there is a backlog: the first event was not waited for
			w.admission.Prefetch(w.roundTrip.with(arrived), w.pacer.MeanCall())
		}
	}
}

// meanTime is an exponentially weighted mean of durations. Where two are counted at the same moment, one may be lost.
type meanTime struct{ ns atomic.Int64 }

// with counts a duration, and returns the mean.
func (m *meanTime) with(d time.Duration) time.Duration {
	mean := m.ns.Load()
	mean += (int64(d) - mean) / 64
	m.ns.Store(mean)
	return time.Duration(mean)
}

// restore waits a little and sets streams and consumer up again, until that succeeds or ctx is done. It does not warn of a
// bulk lane that is missing: `revoker setup` may add it at any time.
func (w *Worker) restore(ctx context.Context, lane admission.Lane, consumer *events.Consumer, trouble *outage) {
	w.pulling[lane].Rest() // it may wait for the connection
	w.admission.Away(lane, true)
	defer w.admission.Away(lane, false)
	missing := false
	for ctx.Err() == nil {
		wait := trouble.pause()
		if missing {
			wait = laneInterval
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		err := consumer.Restore(ctx)
		if err == nil || ctx.Err() != nil {
			if err == nil && missing {
				w.log.Info("the bulk lane is there now, and is served", "consumer", w.cfg.In(config.Bulk).Consumer)
			}
			w.renewer.reset()
			return
		}
		if missing = errors.Is(err, events.ErrNoLane); missing {
			trouble.end()
			continue
		}
		trouble.report(err)
	}
}

// outage is a time in which events are not served. It says each reason once, and when it is over.
type outage struct {
	log    *slog.Logger
	shown  *atomic.Pointer[string] // the reason, for others to read
	reason string
	wait   time.Duration
}

func (o *outage) report(err error) {
	if text := err.Error(); text != o.reason {
		o.log.Warn("events are not served; trying again", "error", err)
		o.reason = text
		o.shown.Store(&text)
	}
}

// pause doubles from one try to the next.
func (o *outage) pause() time.Duration {
	o.wait = min(max(2*o.wait, minPullPause), maxPullPause)
	return o.wait
}

func (o *outage) end() {
	if o.reason != "" {
		o.log.Info("events are served again")
		o.shown.Store(nil)
		*o = outage{shown: o.shown, log: o.log}
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
	beat := w.slots.add()
	defer w.slots.remove(beat)
	for {
		beat.Rest()
		lane, more := w.admission.Next()
		if !more {
			return
		}
		beat.Beat(slotTime(w.cfg))
		next := <-w.waiting[lane]
		if ctx.Err() == nil {
			w.process(workCtx, caller, lane, next)
		} else {
			<-w.pulled
			w.settle(&attempt{delivery: next.delivery, outcome: Interrupted, detail: "it had not begun when the worker was stopped"})
		}
		w.admission.Release(lane)
	}
}

// Misconfigured tells whether the API refuses every call because of the configuration, and why.
func (w *Worker) Misconfigured() (reason string, misconfigured bool) {
	return w.admission.Misconfigured()
}

// State says how the worker is: its work, what limits it, and its circuit breaker.
func (w *Worker) State() peer.State {
	breaker, reason := w.admission.State()
	state := peer.State{InFlight: w.admission.InFlight(), InHand: w.renewer.count(), Breaker: string(breaker), Reason: reason, Braked: w.admission.Braked()}
	capacity := w.admission.Capacity()
	state.Limit, state.LimitedBy, state.Rate = capacity.Limit, string(capacity.Cause), capacity.Rate
	state.Sources = w.sources.list(time.Since(epoch))
	state.BreakerSince, state.NextProbe = w.admission.Outage()
	for _, held := range w.admission.Held() {
		state.Held = append(state.Held, peer.HeldService{Service: held.Service, Reason: held.Reason, Since: held.Since})
	}
	return state
}

// LetGo takes the brake off that CALLER_ERROR for many sessions in a row put on (REVOKER_CALLER_ERROR_BRAKE), until the next
// OK. It reports whether it was on.
func (w *Worker) LetGo() (was bool) { return w.admission.LetGo() }

// Unserved says why the worker gets no events from the server, empty if it does or asks for none.
func (w *Worker) Unserved() string {
	for lane := range w.unserved {
		if reason := w.unserved[lane].Load(); reason != nil {
			return *reason
		}
	}
	return ""
}

// Package worker takes session.ended events from JetStream, calls the logout API for each, and settles each delivery by
// what came of it.
package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"revoker/config"
	"revoker/events"
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

	valve    *valve
	renewer  *renewer
	pacer    *pacer
	retries  retryPolicy
	failures *failureLog
	lastOK   atomic.Int64 // when a session was last revoked, Unix ns; 0 for never
	working  sync.WaitGroup
}

// New returns a worker. observe, if not nil, is told of each settlement, by many goroutines at a time.
func New(cfg config.Config, consumer *events.Consumer, letters *events.DeadLetters, api *authlete.Client, log *slog.Logger, observe func(Settlement)) *Worker {
	b := newBreaker(cfg.BreakerFailures, cfg.BreakerProbeInterval, cfg.BreakerMaxProbeInterval)
	return &Worker{
		cfg:      cfg,
		service:  cfg.API.ServiceID,
		allowed:  cfg.API.AllowedServiceIDs,
		consumer: consumer,
		letters:  letters,
		api:      api,
		log:      log,
		observe:  observe,
		valve:    newValve(cfg.Concurrency, cfg.RateLimit, b, log),
		renewer:  newRenewer(consumer.AckWait()),
		pacer:    newPacer(cfg.Concurrency, cfg.RetryShare, cfg.RateLimit),
		retries:  newRetryPolicy(cfg),
		failures: newFailureLog(log),
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

	w.pull(ctx, workCtx)
	w.working.Wait()
	cutOff()
	endRenewing()
	helpers.Wait()
	w.log.Info("drained")
}

// boundDrain cuts work off when it goes on for the drain timeout after ctx is done.
func (w *Worker) boundDrain(ctx, workCtx context.Context, cutOff context.CancelFunc) {
	<-ctx.Done()
	w.log.Info("draining: no more events are pulled", "in_flight", w.valve.inFlight(), "timeout", w.cfg.DrainTimeout)
	timer := time.NewTimer(w.cfg.DrainTimeout)
	defer timer.Stop()
	select {
	case <-workCtx.Done():
	case <-timer.C:
		w.log.Warn("the drain timeout has passed: calls in flight are cut off and their events handed back", "in_flight", w.valve.inFlight())
		cutOff()
	}
}

// pull asks for as many events as there are slots, again and again until ctx is done.
func (w *Worker) pull(ctx, workCtx context.Context) {
	pause, failure := minPullPause, ""
	for {
		n, generation := w.valve.admit(ctx)
		if n == 0 {
			return
		}
		var late []*events.Delivery
		got, err := w.consumer.Pull(n, pullWait, func(d *events.Delivery) {
			if ctx.Err() != nil {
				late = append(late, d)
				return
			}
			w.begin(workCtx, d, generation)
		})
		w.valve.returned(n-got, generation)
		w.handBack(late)
		if err == nil {
			if failure != "" {
				w.log.Info("events are served again")
			}
			pause, failure = minPullPause, ""
			continue
		}
		if text := err.Error(); text != failure {
			w.log.Warn("events are not served; trying again", "error", err)
			failure = text
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPullPause)
	}
}

// begin processes a delivery in its slot.
func (w *Worker) begin(workCtx context.Context, d *events.Delivery, generation uint64) {
	w.working.Go(func() {
		defer w.valve.release(1)
		w.process(workCtx, d, generation)
	})
}

// handBack settles what arrived after the drain began, once the pull is over: while it is open the server would deliver
// the same events to it again.
func (w *Worker) handBack(late []*events.Delivery) {
	for _, d := range late {
		a := &attempt{delivery: d, outcome: Interrupted, detail: "it had not begun when the worker was stopped"}
		w.settle(context.Background(), a)
		w.valve.release(1)
	}
}

// revoked notes that the API works, for some session.
func (w *Worker) revoked(service string) {
	w.lastOK.Store(time.Now().UnixNano())
	if service != "" && w.valve.unhold(service) {
		w.log.Info("the events of a service are no longer held back", "service", service)
	}
}

// sinceOK is the time since a session was last revoked, negative for never.
func (w *Worker) sinceOK(now time.Time) time.Duration {
	last := w.lastOK.Load()
	if last == 0 {
		return -1
	}
	return now.Sub(time.Unix(0, last))
}

// Misconfigured tells whether the API refuses every call because of the configuration, and why.
func (w *Worker) Misconfigured() (reason string, misconfigured bool) { return w.valve.misconfigured() }

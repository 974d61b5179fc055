package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"revoker/events"
	"revoker/worker/authlete"
)

// adviser gives the circuit breaker its second opinions: it calls the API for the newest event that the stream holds. The call is
// idempotent and its session has ended, so nothing is done too early, and no delivery is spent. The newest event is the one that has least to do with the
// head of the queue, where a block of failing sessions can't be told from an outage.
type adviser struct {
	w      *Worker
	caller *authlete.Caller
	failed eventKey // the newest event for which the API failed; it would say nothing new
}

// advise answers the breaker's questions until ctx is done.
func (w *Worker) advise(ctx context.Context) {
	adviser := &adviser{w: w, caller: w.api.Caller(ctx)}
	defer adviser.caller.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.admission.ask:
		}
		if generation, suspected, asking := w.admission.question(); asking {
			r := adviser.opinion(ctx, suspected)
			r.generation = generation
			w.counts.opinion(r.verdict)
			w.admission.opinion(r)
		}
	}
}

// opinion asks the API about one session and says what the answer says of the API. A suspicion is worth a call even where the newest event is one
// that failed before.
func (a *adviser) opinion(ctx context.Context, suspected bool) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{verdict: saysNothing}
			a.w.log.Error("asking for a second opinion panicked", "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	event, key, err := a.w.sample(ctx)
	if err != nil || !suspected && key == a.failed && key != (eventKey{}) {
		if err != nil && !errors.Is(err, events.ErrNoEvent) {
			a.w.log.Debug("no event to ask the API about", "error", err)
		}
		return result{verdict: saysNothing}
	}
	at := a.w.try(ctx, a.caller, event, key)
	switch r = a.w.evidence(at); r.verdict {
	case failing, rejecting:
		a.failed = key
	default:
		a.failed = eventKey{}
	}
	return r
}

// sample is an event to ask the API about: the newest one, or where that can't be read or is not usable, the one whose session
// this worker revoked last.
func (w *Worker) sample(ctx context.Context) (events.Event, eventKey, error) {
	stored, err := w.consumer.Newest(ctx)
	if err == nil {
		var event events.Event
		if event, err = w.decode(stored.Header, stored.Payload); err == nil {
			return event, eventKey{stored.Sequence, stored.Published.UnixNano()}, nil
		}
	}
	if last := w.lastRevoked.Load(); last != nil {
		return last.event, eventKey{}, nil
	}
	return events.Event{}, eventKey{}, err
}

// try calls the API for an event that was not delivered. If that revokes the session it is remembered, so that the delivery, when it comes, is
// settled without a second call.
func (w *Worker) try(ctx context.Context, caller *authlete.Caller, event events.Event, key eventKey) *attempt {
	a := &attempt{event: event}
	w.call(ctx, caller, a)
	if a.outcome == Revoked && key != (eventKey{}) {
		w.early.put(key, earlyCall{a.response, a.took})
	}
	return a
}

// Counts are what a worker did beside its deliveries, since its start.
type Counts struct {
	// OpinionsWorking, OpinionsFailing and OpinionsNone are the second opinions that the circuit breaker asked for: the API worked, it did
	// not, or there was no event to ask about.
	OpinionsWorking, OpinionsFailing, OpinionsNone int64
	// Bypassed are the sessions that were revoked while their events waited behind a full consumer.
	Bypassed int64
}

type counts struct{ working, failing, none, bypassed atomic.Int64 }

func (c *counts) opinion(v verdict) {
	switch v {
	case working, rejecting:
		c.working.Add(1)
	case failing, refusing:
		c.failing.Add(1)
	default:
		c.none.Add(1)
	}
}

// Counts returns them.
func (w *Worker) Counts() Counts {
	c := &w.counts
	return Counts{c.working.Load(), c.failing.Load(), c.none.Load(), c.bypassed.Load()}
}

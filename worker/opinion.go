package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"revoker/events"
	"revoker/worker/admission"
	"revoker/worker/authlete"
)

// adviser gives the circuit breaker its second opinions. It calls the API for events from the other end of the queues: the newest
// of each lane, and others that were never delivered. These have least to do with the head of the queue, where a block of
// failing sessions can't be told from an outage. The call is idempotent and its session has ended, so nothing is done too
// early, and no delivery is spent.
type adviser struct {
	w      *Worker
	asking sync.WaitGroup              // calls, some of which no opinion waits for
	failed [2]atomic.Pointer[eventKey] // the newest event for which the API failed, by lane; it would say nothing new
}

// secondAnswer is how long an answer may still take once the opinion is clear without it. It tells how many tokens its call deleted,
// which nobody would know if the call were cut off.
const secondAnswer = time.Second

// opinionNATS is how long the adviser may wait for NATS at one opinion: for up to ten looks into the stream.
const opinionNATS = 80 * time.Second

// advise answers the breaker's questions until ctx is done.
func (w *Worker) advise(ctx context.Context) {
	adviser := &adviser{w: w}
	defer adviser.asking.Wait()
	beat := w.slots.add()
	defer w.slots.remove(beat)
	for {
		beat.Rest()
		select {
		case <-ctx.Done():
			return
		case <-w.admission.Asked():
		}
		if generation, calls, asking := w.admission.Question(); asking {
			beat.Beat(w.cfg.RequestTimeout + opinionNATS)
			r := adviser.opinion(ctx, calls)
			r.Generation = generation
			w.counts.opinion(r.Verdict)
			w.admission.Opinion(r)
		}
	}
}

// opinion asks the API about so many sessions at a time, and says what the answers say of it. It works if one of them is
// revoked.
func (a *adviser) opinion(ctx context.Context, calls int) (r admission.Result) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() { time.AfterFunc(secondAnswer, cancel) }()
	candidates := a.candidates(ctx, calls)
	results := make(chan admission.Result, len(candidates))
	for _, c := range candidates {
		a.asking.Go(func() { results <- a.ask(ctx, c) })
	}
	for range candidates {
		switch next := <-results; next.Verdict {
		case admission.Working, admission.Refusing:
			return next
		case admission.Failing, admission.Rejecting:
			r = next
		}
	}
	return r
}

// candidates are up to most sessions to ask about: the newest of each lane, then others from anywhere in them. A newest event that
// can't be read still tells how far the others reach.
func (a *adviser) candidates(ctx context.Context, most int) (list []candidate) {
	var found []candidate
	read := false
	for lane, consumer := range a.w.ready() {
		newest, err := a.w.candidate(consumer.Newest(ctx))
		if err != nil && !errors.Is(err, events.ErrNoEvent) {
			a.w.log.Debug("the newest event can't be asked about", "error", err)
		}
		if newest.key == (eventKey{}) {
			continue
		}
		newest.lane = lane
		found = append(found, newest)
		if err != nil {
			continue
		}
		read = true
		if failed := a.failed[lane].Load(); len(list) < most && (failed == nil || newest.key != *failed) {
			newest.newest = true
			list = append(list, newest)
		}
	}
	for try := range most * len(found) {
		if len(list) >= most {
			break
		}
		newest := found[try%len(found)]
		other, err := a.w.unsettled(ctx, a.w.consumers[newest.lane], newest.key.sequence)
		if err == nil && !slices.ContainsFunc(list, func(c candidate) bool { return c.key == other.key }) {
			list = append(list, other)
		}
	}
	if last := a.w.lastRevoked.Load(); len(list) == 0 && !read && last != nil {
		return []candidate{{event: last.event}}
	}
	return list
}

// ask makes one call.
func (a *adviser) ask(ctx context.Context, c candidate) (r admission.Result) {
	defer func() {
		if p := recover(); p != nil {
			r = admission.Result{Verdict: admission.SaysNothing}
			a.w.log.Error("asking for a second opinion panicked", "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	caller := a.w.api.Caller(ctx)
	defer caller.Close()
	r = a.w.evidence(a.w.try(ctx, caller, c))
	if c.newest && (r.Verdict == admission.Failing || r.Verdict == admission.Rejecting) {
		a.failed[c.lane].Store(&c.key)
	}
	return r
}

// candidate is an event that the API may be asked about.
type candidate struct {
	event events.Event
	key   eventKey // zero for one that is known to be revoked
	lane  admission.Lane
	// newest tells that it is the event that was stored last.
	newest bool
}

// ready are the lanes that exist, live first.
func (w *Worker) ready() iter.Seq2[admission.Lane, *events.Consumer] {
	return func(yield func(admission.Lane, *events.Consumer) bool) {
		for lane, consumer := range w.consumers {
			if consumer != nil && consumer.Ready() && !yield(admission.Lane(lane), consumer) {
				return
			}
		}
	}
}

// newest is the event that was stored last in the live lane, or else in the bulk lane.
func (w *Worker) newest(ctx context.Context) (c candidate, err error) {
	err = events.ErrNoEvent
	for _, consumer := range w.ready() {
		if c, err = w.candidate(consumer.Newest(ctx)); err == nil {
			return c, nil
		}
	}
	return c, err
}

// unsettled is an event from anywhere among those that were never delivered, or else among those that are not all settled.
func (w *Worker) unsettled(ctx context.Context, consumer *events.Consumer, newest uint64) (candidate, error) {
	at, err := consumer.Position(ctx)
	if err != nil {
		return candidate{}, err
	}
	after := at.Delivered
	if at.Pending == 0 {
		after = at.Settled
	}
	if after >= newest {
		return candidate{}, events.ErrNoEvent
	}
	return w.candidate(consumer.Next(ctx, after+1+rand.Uint64N(newest-after)))
}

func (w *Worker) candidate(stored events.Stored, err error) (candidate, error) {
	if err != nil {
		return candidate{}, err
	}
	event, err := w.decode(stored.Header, stored.Payload)
	return candidate{event: event, key: eventKey{stored.Sequence, stored.Published.UnixNano()}}, err
}

// try calls the API for an event that was not delivered. If that revokes the session it is remembered, so that the delivery,
// when it comes, is settled without a second call.
func (w *Worker) try(ctx context.Context, caller *authlete.Caller, c candidate) *attempt {
	a := &attempt{event: c.event}
	w.call(ctx, caller, a)
	if a.outcome == Revoked && c.key != (eventKey{}) {
		w.early.put(c.key, earlyCall{response: a.response, took: a.took, answered: a.answered})
	}
	return a
}

// Counts are what a worker did beside its deliveries, since its start.
type Counts struct {
	// OpinionsWorking, OpinionsFailing and OpinionsNone are the second opinions that the circuit breaker asked for: the API
	// worked, it did not, or there was no event to ask about.
	OpinionsWorking, OpinionsFailing, OpinionsNone int64
	// Bypassed are the sessions that were revoked while their events waited behind a full consumer.
	Bypassed int64
}

type counts struct{ working, failing, none, bypassed atomic.Int64 }

func (c *counts) opinion(v admission.Verdict) {
	switch v {
	case admission.Working, admission.Rejecting:
		c.working.Add(1)
	case admission.Failing, admission.Refusing:
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

package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"revoker/events"
	"revoker/worker/admission"
)

const (
	// bypassInterval is how often a worker that handed events back looks whether the consumer is full.
	bypassInterval = 2 * time.Second
	// bypassSlots bounds the calls that bypasses make at a time.
	bypassSlots = 8
)

// bypass keeps new sessions from waiting behind a full consumer. Events that wait for their retry count against max ack
// pending, and at the limit the server delivers nothing new: a refused service, or a crowd of failing sessions, would hold
// everybody up. Then the bypass looks at the events behind the limit in the stream itself and calls the API for them. It
// settles nothing. Each event is delivered later as if nothing had happened, and if its session is revoked by then, it is
// acknowledged without a second call. What goes wrong here is left to that delivery.
type bypass struct {
	w        *Worker
	lane     admission.Lane
	consumer *events.Consumer

	next uint64 // the sequence to look at next
	full bool   // it was when looked at last
}

// run looks until ctx is done.
func (b *bypass) run(ctx context.Context) {
	for {
		// A fleet must not look, and call, in step.
		timer := time.NewTimer(bypassInterval/2 + rand.N(bypassInterval))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if b.w.handedBack[b.lane].Swap(false) || b.full {
			b.look(ctx)
		}
	}
}

// look passes over all events that wait behind a full consumer.
func (b *bypass) look(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			b.w.log.Error("bypassing a full consumer panicked", "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	at, err := b.consumer.Position(ctx)
	was := b.full
	if b.full = err == nil && at.Full; !b.full {
		return
	}
	if b.next = max(b.next, at.Delivered+1); !was {
		b.next = at.Delivered + 1 // the stream may be another one by now
	}
	var calls sync.WaitGroup
	defer calls.Wait()
	slots := make(chan struct{}, min(bypassSlots, b.w.cfg.Concurrency))
	for ctx.Err() == nil {
		stored, err := b.consumer.Next(ctx, b.next)
		if err != nil {
			if !errors.Is(err, events.ErrNoEvent) {
				b.w.log.Debug("looking behind a full consumer", "error", err)
			}
			return
		}
		c, err := b.w.candidate(stored, nil)
		if err != nil || b.w.early.has(c.key) {
			b.next = stored.Sequence + 1
			continue
		}
		generation, pause := b.w.admission.EnterAside(c.event.ServiceID)
		switch {
		case pause > 0 && !b.w.admission.Holding(c.event.ServiceID):
			return // calls are paused; it is looked at again
		case pause > 0: // of this service alone; its delivery waits anyway
			b.next = stored.Sequence + 1
			continue
		}
		b.next = stored.Sequence + 1
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			defer b.w.admission.Leave()
			if b.w.admission.Borrow(ctx, b.lane) {
				defer b.w.admission.Release(b.lane)
				b.call(ctx, c, generation)
			}
		})
	}
}

// call makes one event's call.
func (b *bypass) call(ctx context.Context, c candidate, generation uint64) {
	defer func() {
		if p := recover(); p != nil {
			b.w.log.Error("bypassing a full consumer panicked", "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	beat := b.w.slots.add()
	defer b.w.slots.remove(beat)
	beat.Beat(slotTime(b.w.cfg))
	caller := b.w.api.Caller(ctx)
	defer caller.Close()
	a := b.w.try(ctx, caller, c)
	r := b.w.evidence(a)
	r.Generation = generation
	b.w.admission.Report(r)
	if a.outcome == Revoked {
		b.w.counts.bypassed.Add(1)
	}
}

package worker

import (
	"context"
	"sync"
	"time"

	"revoker/events"
)

// renewalsPerAckWait is how often the ack wait of a delivery in work is renewed within it, so that two renewals may be
// lost.
const renewalsPerAckWait = 3

// renewer keeps the server from delivering again what is in work here: it starts the ack wait of each such delivery anew,
// all on one timer.
type renewer struct {
	ackWait   func() time.Duration
	changed   chan struct{} // the ack wait may have; holds one signal
	heartbeat heartbeat     // of run

	mu     sync.Mutex
	inWork map[*events.Delivery]struct{}
}

func newRenewer(ackWait func() time.Duration) *renewer {
	return &renewer{ackWait: ackWait, changed: make(chan struct{}, 1), inWork: map[*events.Delivery]struct{}{}}
}

func (r *renewer) add(d *events.Delivery) {
	r.mu.Lock()
	r.inWork[d] = struct{}{}
	r.mu.Unlock()
}

// remove ends the renewing of d; once it has returned no renewal follows. It comes before the settlement, since the server
// would take a renewal after a nak for a new delay.
func (r *renewer) remove(d *events.Delivery) {
	r.mu.Lock()
	delete(r.inWork, d)
	r.mu.Unlock()
}

// count is how many deliveries are in work here.
func (r *renewer) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.inWork)
}

// reset makes run ask for the ack wait again.
func (r *renewer) reset() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// run renews until ctx is done.
func (r *renewer) run(ctx context.Context) {
	defer r.heartbeat.Rest()
	for {
		interval := r.ackWait() / renewalsPerAckWait
		r.heartbeat.Beat(interval)
		timer := time.NewTimer(interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-r.changed:
			timer.Stop()
		case <-timer.C:
			r.mu.Lock()
			for d := range r.inWork {
				d.InProgress()
			}
			r.mu.Unlock()
		}
	}
}

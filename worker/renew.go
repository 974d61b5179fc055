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
// all on one ticker.
type renewer struct {
	interval time.Duration

	mu     sync.Mutex
	inWork map[*events.Delivery]struct{}
}

func newRenewer(ackWait time.Duration) *renewer {
	return &renewer{interval: ackWait / renewalsPerAckWait, inWork: map[*events.Delivery]struct{}{}}
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

// run renews until ctx is done. An error is not reported: the connection says so itself, and the ack wait tells the rest.
func (r *renewer) run(ctx context.Context) {
	ticker := time.NewTicker(r.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.mu.Lock()
			for d := range r.inWork {
				_ = d.InProgress()
			}
			r.mu.Unlock()
		}
	}
}

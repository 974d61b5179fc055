package conn

import (
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

const advisories = "$JS.EVENT.ADVISORY."

// Deletions hears of the deletion of a stream or its consumer. The client's reader puts what it receives into the channel
// itself, so that no other goroutine has to run before a deletion counts. The zero value hears of none.
type Deletions struct {
	heard chan *nats.Msg
	subs  []*nats.Subscription

	mu    sync.Mutex
	count uint64
}

// Hear subscribes to the advisories. An account that may not subscribe to them hears of none, which is not logged as a fault:
// https://docs.nats.io/running-a-nats-service/nats_admin/monitoring/monitoring_jetstream#advisories
func (d *Deletions) Hear(c *Conn, stream, consumer string) error {
	c.Ignore(advisories, func(violation error) bool {
		concerned := violatesPrefix(violation, advisories)
		if concerned {
			c.log.Debug("this worker's account is not allowed to hear of the deletion of its stream; it asks instead")
		}
		return concerned
	})
	d.heard = make(chan *nats.Msg, 16) // one is as good as many
	for _, subject := range []string{advisories + "CONSUMER.DELETED." + stream + "." + consumer, advisories + "STREAM.DELETED." + stream} {
		sub, err := c.nc.ChanSubscribe(subject, d.heard)
		if err != nil {
			d.Close()
			return fmt.Errorf("subscribing for the deletion of streams: %w", err)
		}
		d.subs = append(d.subs, sub)
	}
	return nil
}

// Reported is how many deletions were reported up to now.
func (d *Deletions) Reported() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		select {
		case <-d.heard:
			d.count++
		default:
			return d.count
		}
	}
}

// Close ends the subscriptions.
func (d *Deletions) Close() {
	for _, sub := range d.subs {
		_ = sub.Unsubscribe()
	}
}

package events

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// watchInterval is how long pulls must bring nothing before the consumer is asked why, and asked again.
	watchInterval = 10 * time.Second
	watchTimeout  = time.Second // of asking
)

// watchdog notices pulls that the server answers correctly, but without events, although events are pending. Users of other
// clients met that after reconnects: https://github.com/nats-io/nats-server/issues/5839
type watchdog struct {
	interval time.Duration
	looked   time.Time               // when an event was last delivered, or the consumer last asked
	seen     *jetstream.ConsumerInfo // what it said, if nothing was delivered since
	barked   bool
}

func (w *watchdog) delivered() { *w = watchdog{interval: w.interval, looked: time.Now()} }

// due reports whether the consumer should be asked. Once it was found stalled it is asked after each pull, so that one good
// answer to a rebuilt pull does not count as service.
func (w *watchdog) due(now time.Time) bool { return w.barked || now.Sub(w.looked) >= w.interval }

// look takes in what the consumer says and reports whether it is stalled.
func (w *watchdog) look(now time.Time, info *jetstream.ConsumerInfo) bool {
	before := w.seen
	w.looked, w.seen = now, info
	w.barked = before != nil && stalled(before, info)
	return w.barked
}

// stalled decides whether nothing moved between two looks at a consumer although something should have: events were pending,
// it was not paused, and not too many were unacknowledged. A consumer from which other workers got events is not stalled.
func stalled(before, after *jetstream.ConsumerInfo) bool {
	for _, info := range []*jetstream.ConsumerInfo{before, after} {
		limit := info.Config.MaxAckPending
		if info.NumPending == 0 || info.Paused || limit > 0 && info.NumAckPending >= limit {
			return false
		}
	}
	return before.Delivered.Consumer == after.Delivered.Consumer
}

// watch is told of each pull that the server answered, and how many events it brought.
func (c *Consumer) watch(got int) error {
	now := time.Now()
	switch {
	case got > 0:
		c.watchdog.delivered()
		return nil
	case !c.watchdog.due(now):
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), watchTimeout)
	defer cancel()
	consumer, err := c.conn.JetStream().Consumer(ctx, c.cfg.Stream, c.cfg.Consumer)
	if err != nil { // the next pull tells what is wrong
		c.watchdog.looked = now
		return nil
	}
	if c.watchdog.look(now, consumer.CachedInfo()) {
		return fmt.Errorf("%w: events are pending but pulls bring none", ErrPull)
	}
	return nil
}

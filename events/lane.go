package events

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events/internal/conn"
)

// ErrNoLane is wrapped by the error of [Consumer.Restore] as long as the stream has no bulk lane. `revoker setup` adds it; after
// that Restore succeeds.
var ErrNoLane = errors.New("there is no bulk lane")

// openLane looks whether the lane's events are stored, and so whether its consumer may be created. What was stored before its
// subject was taken out of the stream is still to be delivered.
func (c *Consumer) openLane(ctx context.Context, stream jetstream.StreamConfig) error {
	if c.Lane == config.Live {
		return streamFault(stream, c.cfg.Subject)
	}
	c.conn.IgnoreSubjects(c.conn.API("CONSUMER.INFO." + c.cfg.Stream + "." + c.cfg.Consumer)) // it says so itself
	exists, err := c.conn.ConsumerExists(ctx, c.cfg.Stream, c.cfg.Consumer)
	switch {
	case exists:
		return nil
	case !streamStores(stream, c.cfg.Subject):
		return c.noLane("stream " + stream.Name + " does not store " + c.cfg.Subject)
	case errors.Is(err, conn.ErrDenied):
		return c.noLane(err.Error())
	}
	return err
}

func (c *Consumer) noLane(reason string) error {
	c.ready.Store(false)
	return fmt.Errorf("%w: %s. `revoker setup` adds it: subject %s and consumer %s", ErrNoLane, reason, c.cfg.Subject, c.cfg.Consumer)
}

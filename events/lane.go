package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events/internal/conn"
)

// ErrNoLane is wrapped by the error of [Consumer.Restore] as long as the stream has no bulk lane. `revoker setup` adds it; after
// that Restore succeeds.
var ErrNoLane = errors.New("there is no bulk lane")

// findInterval is between two looks for a lane.
const findInterval = 500 * time.Millisecond

// openLane looks whether the lane's events are stored, and so whether its consumer may be created. What was stored before its
// subject was taken out of the stream is still to be delivered.
func (c *Consumer) openLane(ctx context.Context, stream jetstream.StreamConfig) error {
	if c.Lane == config.Live {
		return streamFault(stream, c.cfg.Subject)
	}
	c.conn.IgnoreSubjects(c.conn.API("CONSUMER.INFO." + c.cfg.Stream + "." + c.cfg.Consumer)) // it says so itself
	_, err := c.conn.AskConsumer(ctx, c.cfg.Stream, c.cfg.Consumer)
	switch {
	case err == nil:
		return nil
	case !streamStores(stream, c.cfg.Subject):
		return c.noLane("stream " + stream.Name + " does not store " + c.cfg.Subject)
	case errors.Is(err, conn.ErrDenied):
		c.ready.Store(false)
		return unseen(err)
	case errors.Is(err, jetstream.ErrConsumerNotFound): // it is created
		return nil
	}
	return err
}

func (c *Consumer) noLane(reason string) error {
	c.ready.Store(false)
	return noLane(c.cfg, reason)
}

// noLane is the error for a missing lane; cfg has its subject and its consumer.
func noLane(cfg config.Config, reason string) error {
	return fmt.Errorf("%w: %s. `revoker setup` adds it: subject %s and consumer %s", ErrNoLane, reason, cfg.Subject, cfg.Consumer)
}

// unseen is the error for an account that may not look whether there is the lane.
func unseen(denied error) error { return fmt.Errorf("%w for this account: %w", ErrNoLane, denied) }

// FindLane looks whether events that are published to the lane will be delivered: its stream stores the subject, and its consumer
// exists. Otherwise they would wait for nobody, or be dropped. The error wraps [ErrNoLane] if there is no such lane, or if the
// account may not see it. A server that is not ready is asked again for up to patience. The live lane needs no look: its consumer
// is created with the stream.
func FindLane(ctx context.Context, c *Conn, cfg config.Config, lane config.Lane, patience time.Duration) error {
	switch {
	case lane != config.Bulk:
		return nil
	case cfg.BulkSubject == "":
		return fmt.Errorf("%w: REVOKER_BULK_SUBJECT is empty", ErrNoLane)
	}
	bulk := cfg.In(config.Bulk)
	for _, request := range []string{"CONSUMER.INFO." + bulk.Stream + "." + bulk.Consumer, "STREAM.INFO." + bulk.Stream} {
		c.IgnoreSubjects(c.API(request)) // an account that may not ask publishes to the live lane
	}
	for began, logged := time.Now(), false; ; {
		err := findBulk(ctx, c, bulk)
		if err == nil || errors.Is(err, ErrNoLane) || !conn.Transient(err) || time.Since(began) >= patience {
			return err
		}
		if !logged {
			c.Log().Warn("JetStream is not ready; waiting for it", "error", err, "for", patience)
			logged = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(findInterval):
		}
	}
}

// Stores reports whether a stream's own subjects cover the subject, so that what is published to it is stored here.
func Stores(stream jetstream.StreamConfig, subject string) bool {
	return slices.ContainsFunc(stream.Subjects, func(stored string) bool { return config.SubjectMatches(stored, subject) })
}

// takes reports whether events on the subject are delivered to a consumer.
func takes(consumer jetstream.ConsumerConfig, subject string) bool {
	filters := append(slices.Clone(consumer.FilterSubjects), consumer.FilterSubject)
	return consumer.FilterSubject == "" && len(consumer.FilterSubjects) == 0 ||
		slices.ContainsFunc(filters, func(filter string) bool { return config.SubjectMatches(filter, subject) })
}

func findBulk(ctx context.Context, c *Conn, bulk config.Config) error {
	consumer, err := c.AskConsumer(ctx, bulk.Stream, bulk.Consumer)
	switch {
	case errors.Is(err, conn.ErrDenied):
		return unseen(err)
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return noLane(bulk, "stream "+bulk.Stream+" has no consumer "+bulk.Consumer)
	case err != nil:
		return err
	case !takes(consumer.Config, bulk.Subject):
		return fmt.Errorf("%w: consumer %s takes other events than %s. Name another with REVOKER_BULK_CONSUMER", ErrNoLane, bulk.Consumer, bulk.Subject)
	}
	var info jetstream.StreamInfo
	err = c.Ask(ctx, "looking up stream "+bulk.Stream, "STREAM.INFO."+bulk.Stream, nil, &info)
	switch {
	case errors.Is(err, conn.ErrDenied): // the consumer is sign enough
		return nil
	case err != nil:
		return err
	case !Stores(info.Config, bulk.Subject):
		return noLane(bulk, "stream "+bulk.Stream+" does not store "+bulk.Subject)
	}
	return nil
}

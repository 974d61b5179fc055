package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func streamFaults() (list []kind) {
	const second = time.Second
	for _, consumer := range []string{"revoker", "revoker-bulk"} {
		list = append(list, kind{"consumer " + consumer + " deleted", stream, 0, second, func(c *chaos, _ *rand.Rand) func() {
			c.eventually("deleting "+consumer, func(ctx context.Context) error {
				err := c.JS.DeleteConsumer(ctx, "SESSIONS", consumer)
				if errors.Is(err, jetstream.ErrConsumerNotFound) {
					return nil // an earlier try deleted it
				}
				return err
			})
			return func() {}
		}})
	}
	return append(list,
		kind{"stream of dead letters full", stream, second, 4 * second, func(c *chaos, _ *rand.Rand) func() { return c.fill("SESSIONS_DLQ") }},
		kind{"stream of receipts full", stream, second, 4 * second, func(c *chaos, _ *rand.Rand) func() { return c.fill("SESSIONS_REVOKED") }},
		kind{"event stream full", stream, second, 4 * second, func(c *chaos, _ *rand.Rand) func() { return c.fill("SESSIONS") }},
		kind{"servers out of storage", stream, second, 4 * second, func(c *chaos, _ *rand.Rand) func() {
			c.limitStorage(1)
			return func() { c.limitStorage(0) }
		}},
	)
}

// fill lets a stream take nothing more until it is healed.
func (c *chaos) fill(name string) func() {
	var before jetstream.StreamConfig
	c.eventually("filling "+name, func(ctx context.Context) error {
		found, err := c.JS.Stream(ctx, name)
		if err != nil {
			return err
		}
		if before.Name == "" {
			before = found.CachedInfo().Config
		}
		full := before
		full.MaxBytes, full.Discard = 1, jetstream.DiscardNew // which removes nothing
		_, err = c.JS.UpdateStream(ctx, full)
		return err
	})
	return func() {
		c.eventually("emptying "+name, func(ctx context.Context) error {
			_, err := c.JS.UpdateStream(ctx, before)
			return err
		})
	}
}

func sourceFaults() []kind {
	const second = time.Second
	return []kind{
		{"kill -9 of the receiver", source, 0, 2 * second, func(c *chaos, _ *rand.Rand) func() {
			c.receiver.end(syscall.SIGKILL, -1)
			return c.receiver.start
		}},
		{"SIGTERM of the receiver", source, 0, second, func(c *chaos, _ *rand.Rand) func() {
			c.receiver.end(syscall.SIGTERM, 0)
			return c.receiver.start
		}},
		{"kill -9 of publish", source, 0, 2 * second, func(c *chaos, _ *rand.Rand) func() {
			for range 500 { // one starts every other second
				if c.killPublisher() {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			return func() {}
		}},
	}
}

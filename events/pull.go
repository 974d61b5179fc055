package events

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events/internal/conn"
)

// answerGrace is how long after a pull's expiry the server may still say that it expired.
const answerGrace = time.Second

// ErrPull is wrapped by what Pull returns when the server did not serve a pull. A further pull may succeed; it should not follow
// at once.
var ErrPull = conn.ErrPull

// errReplaced says that the consumer is not the one whose deliveries are in hand.
var errReplaced = fmt.Errorf("%w: the consumer or its stream was deleted, created anew or set back", ErrPull)

// Consumer pulls deliveries from the durable consumer of a lane, as many as are asked for and no more.
//
// One goroutine may call Pull and Restore.
type Consumer struct {
	Lane config.Lane

	conn    *Conn
	whole   config.Config // as it was given
	cfg     config.Config // with the lane's subject and consumer
	ready   atomic.Bool
	ackWait atomic.Int64
	subject string // of pull requests
	maxPull int
	maxWait time.Duration

	puller      *conn.Puller
	incarnation *conn.Incarnation
	deletions   conn.Deletions
	watchdog    watchdog
	warned      map[string]string // the differences of a stream or consumer, by its name, that were warned of
}

// newConsumer hears of deletions from now on; Restore does the rest.
func newConsumer(nats *Conn, whole config.Config, lane config.Lane) (*Consumer, error) {
	cfg := whole.In(lane)
	c := &Consumer{Lane: lane, conn: nats, whole: whole, cfg: cfg, watchdog: watchdog{interval: watchInterval}, warned: map[string]string{}}
	c.ackWait.Store(int64(cfg.AckWait)) // until the consumer's own is known
	if err := c.deletions.Hear(nats, cfg.Stream, cfg.Consumer); err != nil {
		return nil, err
	}
	return c, nil
}

// Restore is for pulls that are not served. It waits for the connection, finds or creates streams and consumer as Ensure does,
// and subscribes anew. It refuses what Ensure refuses, since somebody else may have created the consumer by now. The error wraps
// [ErrNoLane] if the consumer is that of the bulk lane and the stream has none.
func (c *Consumer) Restore(ctx context.Context) error {
	if err := c.conn.AwaitConnected(ctx); err != nil {
		return err
	}
	found := conn.NewIncarnation(c.conn, &c.deletions)
	info, err := c.ensure(ctx)
	if err != nil {
		return err
	}
	found.Found(info.Stream, info.Name, info.Created)
	return c.adopt(info, found)
}

// adopt takes over the consumer's state, and subscribes for the answers to pulls. What arrives from now on belongs to the
// incarnation that was found, or to the present one if the two are the same.
func (c *Consumer) adopt(info *jetstream.ConsumerInfo, found *conn.Incarnation) error {
	c.ackWait.Store(int64(info.Config.AckWait))
	c.subject = c.conn.API("CONSUMER.MSG.NEXT." + info.Stream + "." + info.Name)
	c.maxPull, c.maxWait = math.MaxInt, math.MaxInt64
	if info.Config.MaxRequestBatch > 0 {
		c.maxPull = info.Config.MaxRequestBatch
	}
	if info.Config.MaxRequestExpires > 0 {
		c.maxWait = info.Config.MaxRequestExpires
	}
	// A late answer to an earlier pull may come beside a whole one. The worker asks for up to three times its slots: admission.MaxAhead,
	// and one for each. What the buffer can't take is delivered again only after the ack wait.
	puller, err := conn.NewPuller(c.conn, 2*3*c.cfg.Concurrency+16)
	if err != nil {
		return err
	}
	if c.puller != nil {
		c.puller.Close()
	}
	c.puller = puller
	if !c.incarnation.Continues(found, info.Delivered.Consumer) {
		if c.incarnation != nil {
			c.incarnation.End()
		}
		c.incarnation = found
	}
	c.ready.Store(true)
	return nil
}

// Ready reports whether the consumer was found. Until then there is nothing to pull. Any goroutine may ask.
func (c *Consumer) Ready() bool { return c.ready.Load() }

// AckWait is the consumer's actual ack wait, which may differ from the configured one.
func (c *Consumer) AckWait() time.Duration { return time.Duration(c.ackWait.Load()) }

// Pull asks for up to n deliveries and hands each to deliver as it arrives. It returns how many there were: as soon as there are
// n, or once the wait is over or the server has ended the pull. Until then the server may still send some, so a pull must not
// be abandoned. The error, if any, wraps [ErrPull].
func (c *Consumer) Pull(n int, wait time.Duration, deliver func(*Delivery)) (got int, err error) {
	if c.puller == nil {
		return 0, fmt.Errorf("%w: %w", ErrPull, ErrNoLane)
	}
	n, wait = min(n, c.maxPull), min(wait, c.maxWait)
	accept := func(msg *nats.Msg) (bool, error) {
		delivery, err := c.delivery(msg)
		if delivery != nil {
			deliver(delivery)
			got++
		}
		return got == n, err
	}
	if err := c.pull(n, &got, wait, accept); err != nil {
		c.incarnation.Doubt()
		return got, err
	}
	return got, c.watch(got)
}

func (c *Consumer) pull(n int, got *int, wait time.Duration, accept func(*nats.Msg) (bool, error)) error {
	if err := c.puller.Late(accept); err != nil || *got == n {
		return err
	}
	switch {
	case !c.conn.NC().IsConnected():
		return fmt.Errorf("%w: not connected", ErrPull)
	case c.incarnation.Ended():
		return errReplaced
	}
	request := fmt.Appendf(nil, `{"batch":%d,"expires":%d}`, n-*got, wait.Nanoseconds())
	status, err := c.puller.Pull(context.Background(), c.subject, request, wait+answerGrace, accept)
	if err != nil || status == nil {
		return err
	}
	return conn.PullError(status)
}

// delivery reads a message that can be settled. It returns nil for a message that is not a delivery, and an error for one that
// comes from another consumer than those before.
func (c *Consumer) delivery(msg *nats.Msg) (*Delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		c.conn.Log().Error("a message is not a delivery", "error", err)
		return nil, nil
	}
	if !c.incarnation.Brings(meta.Sequence.Consumer) {
		return nil, errReplaced
	}
	return c.newDelivery(msg, meta), nil
}

// Close ends the subscriptions. Deliveries that were handed on can still be settled.
func (c *Consumer) Close() {
	if c.puller != nil {
		c.puller.Close()
	}
	c.deletions.Close()
}

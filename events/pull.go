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
)

// answerGrace is how long after a pull's expiry the server may still say that it expired.
const answerGrace = time.Second

// errReplaced says that the consumer is not the one whose deliveries are in hand.
var errReplaced = fmt.Errorf("%w: the consumer or its stream was deleted, created anew or set back", ErrPull)

// Consumer pulls deliveries from the durable consumer, as many as are asked for and no more.
//
// One goroutine may call Pull and Restore.
type Consumer struct {
	conn    *Conn
	cfg     config.Config
	ackWait atomic.Int64
	subject string // of pull requests
	maxPull int
	maxWait time.Duration

	puller      *puller
	incarnation *incarnation
	deletions   deletions
	watchdog    watchdog
}

// newConsumer hears of deletions from now on; Restore does the rest.
func newConsumer(conn *Conn, cfg config.Config) (*Consumer, error) {
	c := &Consumer{conn: conn, cfg: cfg, watchdog: watchdog{interval: watchInterval}}
	if err := c.deletions.hear(conn.nc, cfg.Stream, cfg.Consumer); err != nil {
		return nil, fmt.Errorf("subscribing for the deletion of streams: %w", err)
	}
	return c, nil
}

// Restore is for when pulls are not served. It waits for the connection, finds or creates streams and consumer as Setup
// does, and subscribes anew. It refuses what Setup refuses, since somebody else may have created the consumer by now.
func (c *Consumer) Restore(ctx context.Context) error {
	found := incarnation{conn: c.conn, deletions: &c.deletions}
	if err := c.conn.AwaitConnected(ctx); err != nil {
		return err
	}
	// Noted before the question, so that what happens meanwhile counts as later.
	found.asked, found.reconnect, found.deletionsBefore = time.Now(), c.conn.nc.Stats().Reconnects, c.deletions.reported()
	info, err := c.conn.ensure(ctx, c.cfg)
	if err != nil {
		return err
	}
	found.stream, found.consumer, found.created = info.Stream, info.Name, info.Created
	return c.adopt(info, &found)
}

// adopt takes the consumer's state over, and subscribes for the answers to pulls. What arrives from now on belongs to the
// incarnation that was found, which is the present one if that still lives.
func (c *Consumer) adopt(info *jetstream.ConsumerInfo, found *incarnation) error {
	c.ackWait.Store(int64(info.Config.AckWait))
	c.subject = fmt.Sprintf("%sCONSUMER.MSG.NEXT.%s.%s", c.conn.api, info.Stream, info.Name)
	c.maxPull, c.maxWait = math.MaxInt, math.MaxInt64
	if info.Config.MaxRequestBatch > 0 {
		c.maxPull = info.Config.MaxRequestBatch
	}
	if info.Config.MaxRequestExpires > 0 {
		c.maxWait = info.Config.MaxRequestExpires
	}
	// A late answer to an earlier pull may come beside a whole one.
	puller, err := newPuller(c.conn.nc, 4*c.cfg.Concurrency+16)
	if err != nil {
		return err
	}
	if c.puller != nil {
		c.puller.close()
	}
	c.puller = puller
	if !c.incarnation.continues(found, info.Delivered.Consumer) {
		if c.incarnation != nil {
			c.incarnation.end()
		}
		c.incarnation = found
	}
	return nil
}

// AckWait is the consumer's actual ack wait, which may differ from the configured one.
func (c *Consumer) AckWait() time.Duration { return time.Duration(c.ackWait.Load()) }

// Pull asks for up to n deliveries and hands each to deliver as it arrives. It returns how many there were once there
// are n, or once the wait is over or the server has ended the pull; until then the server may still send some, so a pull
// is not to be abandoned. The error, if any, wraps [ErrPull].
func (c *Consumer) Pull(n int, wait time.Duration, deliver func(*Delivery)) (got int, err error) {
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
		c.incarnation.doubt()
		return got, err
	}
	return got, c.watch(got)
}

func (c *Consumer) pull(n int, got *int, wait time.Duration, accept func(*nats.Msg) (bool, error)) error {
	if err := c.puller.late(accept); err != nil || *got == n {
		return err
	}
	switch {
	case !c.conn.nc.IsConnected():
		return fmt.Errorf("%w: not connected", ErrPull)
	case c.incarnation.ended():
		return errReplaced
	}
	request := fmt.Appendf(nil, `{"batch":%d,"expires":%d}`, n-*got, wait.Nanoseconds())
	status, err := c.puller.pull(context.Background(), c.subject, request, wait+answerGrace, accept)
	if err != nil || status == nil {
		return err
	}
	return pullError(status)
}

// delivery reads a message that can be settled; nil stands for one that cannot be read. It fails if the message comes from
// another consumer than those before, since that would be found out again when the message is settled.
func (c *Consumer) delivery(msg *nats.Msg) (*Delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		c.conn.log.Error("a message came that is not a delivery", "error", err)
		return nil, nil
	}
	if !c.incarnation.brings(meta.Sequence.Consumer) {
		return nil, errReplaced
	}
	return newDelivery(c.incarnation, msg, meta), nil
}

// Close ends the subscriptions. Deliveries that were handed on can still be settled.
func (c *Consumer) Close() {
	c.puller.close()
	c.deletions.close()
}

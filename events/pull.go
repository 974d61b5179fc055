package events

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// ErrPull is wrapped by what Pull returns when the server did not serve a pull: no consumer, no leader, no connection, or
// no answer. A further pull may succeed; it should not follow at once.
var ErrPull = errors.New("pull not served")

// answerGrace is how long after a pull's expiry the server may still say that it expired.
const answerGrace = time.Second

// Consumer pulls deliveries from the durable consumer, as many as are asked for and no more. nats.go's own Fetch is not
// used, for it takes an event that carries a Status header and no payload as the end of the pull, so that one such event
// would stop every pull for ever; and it subscribes anew for each pull.
//
// One goroutine may call Pull and Restore.
type Consumer struct {
	conn    *Conn
	cfg     config.Config
	ackWait atomic.Int64
	subject string // of pull requests
	maxPull int
	maxWait time.Duration

	inbox    string // of the answers to pull n: inbox + n
	pulls    uint64
	messages chan *nats.Msg
	sub      *nats.Subscription
	watchdog watchdog
}

// adopt takes the consumer's state over, and subscribes for the answers to pulls.
func (c *Consumer) adopt(info *jetstream.ConsumerInfo) error {
	c.ackWait.Store(int64(info.Config.AckWait))
	c.subject = fmt.Sprintf("%sCONSUMER.MSG.NEXT.%s.%s", c.conn.api, info.Stream, info.Name)
	c.maxPull, c.maxWait = math.MaxInt, math.MaxInt64
	if info.Config.MaxRequestBatch > 0 {
		c.maxPull = info.Config.MaxRequestBatch
	}
	if info.Config.MaxRequestExpires > 0 {
		c.maxWait = info.Config.MaxRequestExpires
	}
	c.inbox = c.conn.nc.NewInbox() + "."
	// A late answer to an earlier pull may come beside a whole one; the client drops what does not fit.
	c.messages = make(chan *nats.Msg, 4*c.cfg.Concurrency+16)
	sub, err := c.conn.nc.ChanSubscribe(c.inbox+"*", c.messages)
	if err != nil {
		return fmt.Errorf("subscribing for deliveries: %w", err)
	}
	if c.sub != nil {
		_ = c.sub.Unsubscribe()
	}
	c.sub = sub
	return nil
}

// Restore is for when pulls are not served. It waits for the connection, finds or creates streams and consumer as Setup
// does, and subscribes anew. It refuses what Setup refuses, since somebody else may have created the consumer by now.
func (c *Consumer) Restore(ctx context.Context) error {
	info, err := c.conn.ensure(ctx, c.cfg)
	if err != nil {
		return err
	}
	return c.adopt(info)
}

// AckWait is the consumer's actual ack wait, which may differ from the configured one.
func (c *Consumer) AckWait() time.Duration { return time.Duration(c.ackWait.Load()) }

// Pull asks for up to n deliveries and hands each to deliver as it arrives. It returns how many there were once there
// are n, or once the wait is over or the server has ended the pull; until then the server may still send some, so a pull
// is not to be abandoned. The error, if any, wraps [ErrPull].
func (c *Consumer) Pull(n int, wait time.Duration, deliver func(*Delivery)) (int, error) {
	n, wait = min(n, c.maxPull), min(wait, c.maxWait)
	got := c.late(n, deliver)
	if got == n {
		return got, c.watch(got)
	}
	if !c.conn.nc.IsConnected() {
		return got, fmt.Errorf("%w: not connected", ErrPull)
	}
	c.pulls++
	reply := c.inbox + strconv.FormatUint(c.pulls, 10)
	request := fmt.Appendf(nil, `{"batch":%d,"expires":%d}`, n-got, wait.Nanoseconds())
	if err := c.conn.nc.PublishRequest(c.subject, reply, request); err != nil {
		return got, fmt.Errorf("%w: %w", ErrPull, err)
	}
	expired := time.NewTimer(wait + answerGrace)
	defer expired.Stop()
	for got < n {
		select {
		case msg := <-c.messages:
			switch {
			case msg.Reply != "":
				got += c.accept(msg, deliver)
			case msg.Subject == reply:
				if err := pullError(msg.Header); err != nil {
					return got, err
				}
				return got, c.watch(got)
			}
		case <-expired.C:
			return got, fmt.Errorf("%w: the server did not answer", ErrPull)
		}
	}
	return got, c.watch(got)
}

// late takes up to n deliveries that arrived after their pull had been given up.
func (c *Consumer) late(n int, deliver func(*Delivery)) (got int) {
	for got < n {
		select {
		case msg := <-c.messages:
			if msg.Reply != "" {
				got += c.accept(msg, deliver)
			}
		default:
			return got
		}
	}
	return got
}

// accept hands on a message that can be acknowledged. A message without a reply subject is the server's own word, which
// nothing that an event carries can imitate.
func (c *Consumer) accept(msg *nats.Msg, deliver func(*Delivery)) int {
	delivery, err := newDelivery(c.conn, msg)
	if err != nil {
		c.conn.log.Error("a message came that is no delivery", "error", err)
		return 0
	}
	deliver(delivery)
	return 1
}

// pullError reads the status by which the server ended a pull:
// https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-37.md
func pullError(status nats.Header) error {
	code, text := status.Get("Status"), status.Get("Description")
	switch code {
	case "404", "408": // nothing there; expired
		return nil
	case "503":
		return fmt.Errorf("%w: JetStream or the consumer is not there", ErrPull)
	case "409":
		if strings.Contains(strings.ToLower(text), "batch completed") {
			return nil
		}
	}
	return fmt.Errorf("%w: %s %s", ErrPull, code, text)
}

// Close ends the subscription. Deliveries that were handed on can still be settled.
func (c *Consumer) Close() { _ = c.sub.Unsubscribe() }

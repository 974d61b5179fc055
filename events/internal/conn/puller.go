package conn

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrPull is wrapped by the error of a pull that the server did not serve: no consumer, no leader, no connection, or no
// answer. A further pull may succeed; it should not follow at once.
var ErrPull = errors.New("pull not served")

// ErrPullSilent is the error of a pull whose time is over without a word from the server.
var ErrPullSilent = fmt.Errorf("%w: the server did not answer", ErrPull)

// pingTime is how long the server may take to answer a ping.
const pingTime = time.Second

// Puller speaks the pull protocol of JetStream:
// https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-37.md
//
// nats.go's Fetch, Messages and Consume are not used. They take a message with a Status header and no payload for the
// server's own word (checkMsg, https://github.com/nats-io/nats.go/blob/v1.55.0/jetstream/message.go#L470-L518), although a
// publisher may store exactly that. Such an event is never handed on and ends the pull; since it stays unsettled it comes
// again, and ends every later pull too. Here a message is the server's word if it has no reply subject. A message that can be
// settled always has one, and no publisher can take it away.
//
// One goroutine may use a Puller.
type Puller struct {
	nc       *nats.Conn
	inbox    string // of the answers to pull n: inbox + n
	pulls    uint64
	messages chan *nats.Msg
	sub      *nats.Subscription
}

// NewPuller subscribes for the answers to pulls. The client drops what does not fit into the buffer.
func NewPuller(c *Conn, buffer int) (*Puller, error) {
	p := &Puller{nc: c.nc, inbox: c.nc.NewInbox() + ".", messages: make(chan *nats.Msg, buffer)}
	sub, err := c.nc.ChanSubscribe(p.inbox+"*", p.messages)
	if err != nil {
		return nil, fmt.Errorf("subscribing for deliveries: %w", err)
	}
	p.sub = sub
	return p, nil
}

// Pull sends a request and hands each delivery to accept as it arrives, until accept reports that there are enough. If the
// server ends the pull before, Pull returns its status. The errors are ctx's, those of sending and of accept, and
// [ErrPullSilent] after timeout.
func (p *Puller) Pull(ctx context.Context, subject string, request []byte, timeout time.Duration, accept func(*nats.Msg) (enough bool, err error)) (status nats.Header, err error) {
	p.pulls++
	reply := p.inbox + strconv.FormatUint(p.pulls, 10)
	if err := p.nc.PublishRequest(subject, reply, request); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPull, err)
	}
	silent := time.NewTimer(timeout)
	defer silent.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-silent.C:
			return p.unread(reply, accept)
		case msg := <-p.messages:
			if status, over, err := heard(msg, reply, accept); over {
				return status, err
			}
		}
	}
}

// heard takes one message. It reports whether the pull is over.
func heard(msg *nats.Msg, reply string, accept func(*nats.Msg) (enough bool, err error)) (status nats.Header, over bool, err error) {
	switch {
	case msg.Reply != "":
		enough, err := accept(msg)
		return nil, enough || err != nil, err
	case msg.Subject != reply:
		return nil, false, nil
	case msg.Header == nil:
		return nats.Header{}, true, nil
	}
	return msg.Header, true, nil
}

// unread is for a pull whose time is over. If this process stood still, it has not read yet what the server sent: deliveries that
// would be lost with the subscription, and come again only after the ack wait. All of that is read before the answer to a ping.
func (p *Puller) unread(reply string, accept func(*nats.Msg) (enough bool, err error)) (status nats.Header, err error) {
	if p.nc.FlushTimeout(pingTime) != nil {
		return nil, ErrPullSilent
	}
	for {
		select {
		case msg := <-p.messages:
			if status, over, err := heard(msg, reply, accept); over {
				return status, err
			}
		default:
			return nil, ErrPullSilent
		}
	}
}

// Late hands over deliveries that arrived after their pull had been given up, until accept reports that there are enough.
func (p *Puller) Late(accept func(*nats.Msg) (enough bool, err error)) error {
	for {
		select {
		case msg := <-p.messages:
			if msg.Reply == "" {
				continue
			}
			if enough, err := accept(msg); enough || err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// Close ends the subscription.
func (p *Puller) Close() { _ = p.sub.Unsubscribe() }

// StatusTooManyBytes describes the end of a pull whose next message would exceed its max_bytes.
const StatusTooManyBytes = "Message Size Exceeds MaxBytes"

// PullError reads the status by which the server ended a pull. It is nil for an ordinary end.
func PullError(status nats.Header) error {
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

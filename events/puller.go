package events

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrPull is wrapped by what Pull returns when the server did not serve a pull: no consumer, no leader, no connection, or
// no answer. A further pull may succeed; it should not follow at once.
var ErrPull = errors.New("pull not served")

// errPullSilent is returned when a pull's time is over and the server did not say so.
var errPullSilent = fmt.Errorf("%w: the server did not answer", ErrPull)

// puller speaks the pull protocol of JetStream:
// https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-37.md
//
// nats.go's Fetch, Messages and Consume are not used. They take a message with a Status header and no payload for the
// server's own word (checkMsg, https://github.com/nats-io/nats.go/blob/v1.55.0/jetstream/message.go#L470-L518), although a
// publisher may store exactly that. Such an event is never handed on and ends the pull; since it stays unsettled it comes
// again, and ends every later pull too. Here a message is the server's word if it has no reply subject: what can be
// settled always has one, and no publisher can take it away.
//
// One goroutine may use a puller.
type puller struct {
	nc       *nats.Conn
	inbox    string // of the answers to pull n: inbox + n
	pulls    uint64
	messages chan *nats.Msg
	sub      *nats.Subscription
}

// newPuller subscribes for the answers to pulls. The client drops what does not fit into the buffer.
func newPuller(nc *nats.Conn, buffer int) (*puller, error) {
	p := &puller{nc: nc, inbox: nc.NewInbox() + ".", messages: make(chan *nats.Msg, buffer)}
	sub, err := nc.ChanSubscribe(p.inbox+"*", p.messages)
	if err != nil {
		return nil, fmt.Errorf("subscribing for deliveries: %w", err)
	}
	p.sub = sub
	return p, nil
}

// pull sends a request and hands each delivery to accept as it arrives, until accept reports that there are enough. If the
// server ends the pull before, its status is returned. The errors are ctx's, those of sending and of accept, and
// errPullSilent after patience.
func (p *puller) pull(ctx context.Context, subject string, request []byte, patience time.Duration, accept func(*nats.Msg) (enough bool, err error)) (status nats.Header, err error) {
	p.pulls++
	reply := p.inbox + strconv.FormatUint(p.pulls, 10)
	if err := p.nc.PublishRequest(subject, reply, request); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPull, err)
	}
	silent := time.NewTimer(patience)
	defer silent.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-silent.C:
			return nil, errPullSilent
		case msg := <-p.messages:
			switch {
			case msg.Reply != "":
				if enough, err := accept(msg); enough || err != nil {
					return nil, err
				}
			case msg.Subject == reply:
				if msg.Header == nil {
					return nats.Header{}, nil
				}
				return msg.Header, nil
			}
		}
	}
}

// late hands over deliveries that arrived after their pull had been given up, until accept reports that there are enough.
func (p *puller) late(accept func(*nats.Msg) (enough bool, err error)) error {
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

func (p *puller) close() { _ = p.sub.Unsubscribe() }

// statusTooManyBytes describes the end of a pull whose next message would exceed its max_bytes.
const statusTooManyBytes = "Message Size Exceeds MaxBytes"

// pullError reads the status by which the server ended a pull; nil stands for an end that is no trouble.
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

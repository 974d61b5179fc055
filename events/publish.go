package events

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// Publisher publishes session.ended events to the live lane, one at a time. It is safe for concurrent use. For many events there is [BulkPublisher].
type Publisher struct {
	conn    *Conn
	subject string
}

// NewPublisher returns a publisher of events to subject, which a stream must store.
func NewPublisher(conn *Conn, subject string) *Publisher {
	return &Publisher{conn: conn, subject: subject}
}

// Publish stores the event and returns once the stream has confirmed it, or with ctx. duplicate tells that the stream had it
// already.
func (p *Publisher) Publish(ctx context.Context, event Event) (duplicate bool, err error) {
	if err := event.SessionID.Validate(); err != nil {
		return false, err
	}
	return p.publish(ctx, event.Encode(), jetstream.WithMsgID(event.MessageID(config.Live)))
}

// PublishRaw stores any payload, without a message ID.
func (p *Publisher) PublishRaw(ctx context.Context, payload []byte) error {
	_, err := p.publish(ctx, payload)
	return err
}

func (p *Publisher) publish(ctx context.Context, payload []byte, options ...jetstream.PublishOpt) (bool, error) {
	ack, err := p.conn.JetStream().PublishMsg(ctx, &nats.Msg{Subject: p.subject, Data: payload}, options...)
	if err != nil {
		return false, notStored(p.conn, p.subject, err)
	}
	return ack.Duplicate, nil
}

// unanswered reports whether no stream stored a message.
func unanswered(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders)
}

// notStored says why an event was not stored on subject.
func notStored(c *Conn, subject string, err error) error {
	if unanswered(err) {
		return fmt.Errorf("no stream answers for %s: there is none (`revoker setup` creates it), or it has no leader at the moment: %w", subject, err)
	}
	if c.ViolationHas("Violation for Subscription") {
		return fmt.Errorf("publishing to %s: the account may not subscribe to its inbox, where confirmations come (NATS_INBOX_PREFIX): %w", subject, err)
	}
	return c.ExplainPublish("publishing to "+subject, subject, err)
}

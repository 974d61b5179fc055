package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Publisher publishes session.ended events, one at a time. It is safe for concurrent use. For many events there is [Bulk].
type Publisher struct {
	conn    *Conn
	subject string
}

// NewPublisher returns a publisher of events to subject, which a stream must store.
func NewPublisher(conn *Conn, subject string) *Publisher {
	return &Publisher{conn: conn, subject: subject}
}

// Publish stores the event and returns once the stream has confirmed it, for ctx at the most. duplicate tells that the
// stream had it already.
func (p *Publisher) Publish(ctx context.Context, event Event) (duplicate bool, err error) {
	if err := event.SessionID.Validate(); err != nil {
		return false, err
	}
	return p.publish(ctx, event.Encode(), jetstream.WithMsgID(event.MessageID()))
}

// PublishRaw stores any payload, without a message ID.
func (p *Publisher) PublishRaw(ctx context.Context, payload []byte) error {
	_, err := p.publish(ctx, payload)
	return err
}

func (p *Publisher) publish(ctx context.Context, payload []byte, options ...jetstream.PublishOpt) (bool, error) {
	ack, err := p.conn.js.PublishMsg(ctx, &nats.Msg{Subject: p.subject, Data: payload}, options...)
	if err != nil {
		return false, p.conn.notStored(p.subject, err)
	}
	return ack.Duplicate, nil
}

// unanswered reports whether no stream took a message in.
func unanswered(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders)
}

// lacksStream reports whether it is certain that a stream is missing, or does not store a subject. The account need not be
// allowed to ask.
func (c *Conn) lacksStream(ctx context.Context, stream, subject string) bool {
	request := c.api + "STREAM.INFO." + stream
	c.tolerate(request)
	answer, err := c.probeFor(ctx, request, nil)
	if err != nil {
		return false
	}
	if failure := apiError(answer.Data); failure != nil {
		return failure.Code == 404
	}
	var info jetstream.StreamInfo
	return json.Unmarshal(answer.Data, &info) == nil && !streamStores(info.Config, subject)
}

// notStored says why an event was not stored on subject.
func (c *Conn) notStored(subject string, err error) error {
	if unanswered(err) {
		return fmt.Errorf("no stream answers for %s: there is none (`revoker setup` creates it), or it has no leader at the moment: %w", subject, err)
	}
	if c.deniedSubject("Violation for Subscription") {
		return fmt.Errorf("publishing to %s: the account may not subscribe to its inbox, where confirmations come (NATS_INBOX_PREFIX): %w", subject, err)
	}
	return c.explainPublish("publishing to "+subject, subject, err)
}

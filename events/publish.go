package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Publisher publishes session.ended events.
type Publisher struct {
	conn    *Conn
	subject string
}

// NewPublisher returns a publisher of events to subject, which a stream must store.
func NewPublisher(conn *Conn, subject string) *Publisher {
	return &Publisher{conn: conn, subject: subject}
}

// MessageID is the Nats-Msg-Id of the event: the hex SHA-256 of service ID, NUL, session ID. So an event that is published
// twice within the stream's duplicate window is stored once, and the header gives nothing away.
func (e Event) MessageID() string {
	sum := sha256.Sum256([]byte(e.ServiceID + "\x00" + string(e.SessionID)))
	return hex.EncodeToString(sum[:])
}

// Encode returns the event as the JSON object that [Decode] reads.
func (e Event) Encode() []byte {
	object := struct {
		SessionID string `json:"sessionId"`
		ServiceID string `json:"serviceId,omitempty"`
		EndedAt   string `json:"endedAt,omitempty"`
		Reason    string `json:"reason,omitempty"`
	}{SessionID: string(e.SessionID), ServiceID: e.ServiceID, Reason: e.Reason}
	if !e.EndedAt.IsZero() {
		object.EndedAt = e.EndedAt.UTC().Format(time.RFC3339Nano)
	}
	payload, _ := json.Marshal(object) // strings always encode
	return payload
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
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return false, fmt.Errorf("no stream stores %s; `revoker run` creates it", p.subject)
	case err != nil:
		return false, fmt.Errorf("publishing to %s: %w", p.subject, p.conn.explain("awaiting confirmation", p.subject, err))
	}
	return ack.Duplicate, nil
}

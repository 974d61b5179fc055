package events

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events/internal/conn"
)

// ErrNotConnected says that nothing was sent, because there is no connection to NATS.
var ErrNotConnected = errors.New("not connected to NATS")

// Signal is an event that a sender waits for to be stored.
type Signal struct {
	Event Event
	// Source is from where it came, as [Source] reads it; empty for none.
	Source string
	// TraceParent and TraceState carry the sender's trace on, if it has one: https://www.w3.org/TR/trace-context/
	TraceParent, TraceState string
}

// SignalPublisher publishes events whose senders wait. It is safe for concurrent use.
type SignalPublisher struct {
	conn            *Conn
	stream, subject string
}

// NewSignalPublisher returns a publisher of events to subject, which stream must store.
func NewSignalPublisher(conn *Conn, stream, subject string) *SignalPublisher {
	return &SignalPublisher{conn: conn, stream: stream, subject: subject}
}

// TooLargeError says that the stream refuses a signal for its size. None of its batch was stored. It wraps [ErrTooLarge].
type TooLargeError struct {
	Index int // in the batch, from 0
}

func (e *TooLargeError) Error() string { return ErrTooLarge.Error() }

// Unwrap returns ErrTooLarge.
func (e *TooLargeError) Unwrap() error { return ErrTooLarge }

// Publish stores the signals and returns once the stream has confirmed each. duplicates counts those that it had already. After an
// error some may be stored, and some may be stored later: each has the message ID of its session, so the stream stores none of them
// twice if the sender tries again within its duplicate window. After a [TooLargeError] none is.
func (p *SignalPublisher) Publish(ctx context.Context, signals ...Signal) (duplicates int, err error) {
	if !p.conn.Connected() {
		return 0, ErrNotConnected // or the client would keep them, and send them when nobody expects it
	}
	if len(signals) == 0 {
		return 0, nil
	}
	messages, largest := make([]*nats.Msg, len(signals)), 0
	for i, signal := range signals {
		if err := signal.Event.SessionID.Validate(); err != nil {
			return 0, err
		}
		messages[i] = signal.message(p.subject)
		if messages[i].Size() > messages[largest].Size() {
			largest = i
		}
	}
	found, errs := make([]bool, len(signals)), make([]error, len(signals))
	// What the stream refuses for its size must not leave the others stored. If it takes the largest one, it takes them all.
	if found[largest], err = p.one(ctx, messages[largest]); errors.Is(err, ErrTooLarge) {
		return 0, &TooLargeError{largest}
	} else if err != nil {
		return 0, err
	}
	var sending sync.WaitGroup
	for i, message := range messages {
		if i != largest {
			sending.Go(func() { found[i], errs[i] = p.one(ctx, message) })
		}
	}
	sending.Wait()
	for i := range signals {
		if found[i] {
			duplicates++
		}
		if err == nil {
			err = errs[i]
		}
	}
	return duplicates, err
}

func (p *SignalPublisher) one(ctx context.Context, message *nats.Msg) (duplicate bool, err error) {
	// The server refuses the event if another stream stores the subject: its confirmation would be worth nothing.
	ack, err := p.conn.JetStream().PublishMsg(ctx, message, jetstream.WithExpectStream(p.stream))
	if err != nil {
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == ErrorWrongStream {
			return false, fmt.Errorf("publishing to %s: stream %s does not store it; look at REVOKER_STREAM and REVOKER_SUBJECT: %w", p.subject, p.stream, err)
		}
		if conn.TooLarge(err) {
			return false, ErrTooLarge
		}
		return false, notStored(p.conn, p.subject, err)
	}
	return ack.Duplicate, nil
}

func (s Signal) message(subject string) *nats.Msg {
	header := nats.Header{jetstream.MsgIDHeader: {s.Event.MessageID(config.Live)}}
	set := func(name, value string) {
		if value != "" {
			header[name] = []string{value}
		}
	}
	set(SourceHeader, s.Source)
	set(headerTraceParent, s.TraceParent)
	set(headerTraceState, s.TraceState)
	return &nats.Msg{Subject: subject, Data: s.Event.Encode(), Header: header}
}

package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoEvent says that the stream holds no event where it was looked for.
var ErrNoEvent = errors.New("no such event")

// peekTimeout bounds one look into the stream.
const peekTimeout = 2 * time.Second

// Stored is an event as the stream holds it. Looking at one delivers nothing: it stays in the queue, and its delivery count
// as it is.
type Stored struct {
	Sequence  uint64
	Published time.Time
	Header    nats.Header
	Payload   []byte
}

// Newest looks at the event that was stored last, whether it is settled or not. The error wraps [ErrNoEvent] if there is none.
func (c *Consumer) Newest(ctx context.Context) (Stored, error) {
	return c.peek(ctx, map[string]any{"last_by_subj": c.cfg.Subject})
}

// Next looks at the first event that is stored at the sequence or after it. The error wraps [ErrNoEvent] if there is none.
func (c *Consumer) Next(ctx context.Context, sequence uint64) (Stored, error) {
	return c.peek(ctx, map[string]any{"seq": sequence, "next_by_subj": c.cfg.Subject})
}

// peek asks the API for one message:
// https://docs.nats.io/reference/reference-protocols/nats_api_reference#fetching-from-a-stream-by-sequence
func (c *Consumer) peek(ctx context.Context, what map[string]any) (Stored, error) {
	return c.conn.peek(ctx, c.cfg.Stream, what)
}

func (c *Conn) peek(ctx context.Context, stream string, what map[string]any) (Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, peekTimeout)
	defer cancel()
	request, err := json.Marshal(what)
	if err != nil {
		return Stored{}, fmt.Errorf("encoding a request: %w", err)
	}
	answer, err := c.probe(ctx, &nats.Msg{Subject: c.api + "STREAM.MSG.GET." + stream, Data: request})
	if err != nil {
		return Stored{}, fmt.Errorf("looking into stream %s: %w", stream, err)
	}
	var response struct {
		Error   *jetstream.APIError
		Message struct {
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Payload  []byte    `json:"data"`
			Time     time.Time `json:"time"`
		}
	}
	switch err := json.Unmarshal(answer.Data, &response); {
	case err != nil:
		return Stored{}, fmt.Errorf("looking into stream %s: reading the server's answer: %w", stream, err)
	case response.Error != nil && response.Error.Code == 404:
		return Stored{}, fmt.Errorf("looking into stream %s: %w", stream, ErrNoEvent)
	case response.Error != nil:
		return Stored{}, fmt.Errorf("looking into stream %s: %w", stream, response.Error)
	}
	found := response.Message
	stored := Stored{Sequence: found.Sequence, Published: found.Time, Payload: found.Payload}
	if len(found.Header) > 0 {
		if stored.Header, err = nats.DecodeHeadersMsg(found.Header); err != nil {
			return Stored{}, fmt.Errorf("looking into stream %s: %w", stream, err)
		}
	}
	return stored, nil
}

// Position is how far the consumer is in its stream.
type Position struct {
	// Delivered is the last sequence that was delivered for the first time.
	Delivered uint64
	// Settled is the sequence up to which all events are settled.
	Settled uint64
	// Pending is how many events were never delivered.
	Pending uint64
	// Full tells that so many events are unsettled that the server delivers none of the pending ones.
	Full bool
}

// Position asks the server for it.
func (c *Consumer) Position(ctx context.Context) (Position, error) {
	ctx, cancel := context.WithTimeout(ctx, peekTimeout)
	defer cancel()
	consumer, err := c.conn.js.Consumer(ctx, c.cfg.Stream, c.cfg.Consumer)
	if err != nil {
		return Position{}, fmt.Errorf("looking up consumer %s: %w", c.cfg.Consumer, err)
	}
	info := consumer.CachedInfo()
	limit := info.Config.MaxAckPending
	return Position{
		Delivered: info.Delivered.Stream, Settled: info.AckFloor.Stream, Pending: info.NumPending,
		Full: limit > 0 && info.NumAckPending >= limit && info.NumPending > 0 && !info.Paused,
	}, nil
}

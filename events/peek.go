package events

import (
	"context"
	"fmt"
	"time"

	"revoker/events/internal/conn"
)

// ErrNoEvent says that the stream has no event where it was looked for.
var ErrNoEvent = conn.ErrNoMessage

// peekTimeout bounds one look into the stream.
const peekTimeout = 2 * time.Second

// Stored is an event as the stream has it. Looking at one delivers nothing: it stays in the queue with the same delivery count.
type Stored = conn.StoredMessage

// Newest looks at the event of the lane that was stored last, whether it is settled or not. The error wraps [ErrNoEvent] if there is none.
func (c *Consumer) Newest(ctx context.Context) (Stored, error) {
	return c.peek(ctx, conn.Place{LastOn: c.cfg.Subject})
}

// Next looks at the first event of the lane that is stored at the sequence or after it. The error wraps [ErrNoEvent] if there is none.
func (c *Consumer) Next(ctx context.Context, sequence uint64) (Stored, error) {
	return c.peek(ctx, conn.Place{Sequence: sequence, NextOn: c.cfg.Subject})
}

func (c *Consumer) peek(ctx context.Context, place conn.Place) (Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, peekTimeout)
	defer cancel()
	return c.conn.Message(ctx, c.cfg.Stream, place)
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
	consumer, err := c.conn.JetStream().Consumer(ctx, c.cfg.Stream, c.cfg.Consumer)
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

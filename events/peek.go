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

// Newest looks at the event that was stored last, whether it is settled or not. The error wraps [ErrNoEvent] if there is none.
func (c *Consumer) Newest(ctx context.Context) (Stored, error) {
	return c.peek(ctx, conn.Place{LastOn: c.cfg.Subject})
}

// Next looks at the first event that is stored at the sequence or after it. The error wraps [ErrNoEvent] if there is none.
func (c *Consumer) Next(ctx context.Context, sequence uint64) (Stored, error) {
	return c.peek(ctx, conn.Place{Sequence: sequence, NextOn: c.cfg.Subject})
}

func (c *Consumer) peek(ctx context.Context, place conn.Place) (Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, peekTimeout)
	defer cancel()
	return c.conn.Message(ctx, c.cfg.Stream, place)
}

// Full reports whether so many events are unsettled that the server delivers nothing new although some wait, and after
// which sequence those begin.
func (c *Consumer) Full(ctx context.Context) (after uint64, full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, peekTimeout)
	defer cancel()
	consumer, err := c.conn.JetStream().Consumer(ctx, c.cfg.Stream, c.cfg.Consumer)
	if err != nil {
		return 0, false, fmt.Errorf("looking up consumer %s: %w", c.cfg.Consumer, err)
	}
	info := consumer.CachedInfo()
	limit := info.Config.MaxAckPending
	full = limit > 0 && info.NumAckPending >= limit && info.NumPending > 0 && !info.Paused
	return info.Delivered.Stream, full, nil
}

package events

import (
	"context"
	"fmt"
)

// Backlog is what a consumer still has before it.
type Backlog struct {
	// Waiting is the number of events that were never delivered.
	Waiting int
	// Unsettled is the number of events that were delivered and are in work or wait for their retry.
	Unsettled int
}

// Backlog asks for the state of a consumer.
func (c *Conn) Backlog(ctx context.Context, stream, consumer string) (Backlog, error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	found, err := c.js.Consumer(ctx, stream, consumer)
	if err != nil {
		return Backlog{}, fmt.Errorf("looking up consumer %s: %w", consumer, err)
	}
	info := found.CachedInfo()
	return Backlog{Waiting: int(info.NumPending), Unsettled: info.NumAckPending}, nil
}

package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/conn"
)

// Servers can pause a consumer since version 2.11. JetStream knows no pause without an end, so such a pause ends far in the future.
const (
	pauseForever = 100 * 365 * 24 * time.Hour
	pauseEndless = pauseForever / 2 // a later end is shown as none
)

// ErrNoPause says that the NATS server is too old to pause a consumer.
var ErrNoPause = errors.New("a consumer can be paused from 2.11 on")

// Pause stops delivery to all workers for d, or for d 0 until Resume. The pause outlives restarts, and events in work can still be
// settled. It returns when the pause ends, zero for never.
func Pause(ctx context.Context, c *events.Conn, cfg config.Config, d time.Duration) (until time.Time, err error) {
	if d == 0 {
		d = pauseForever
	}
	return setPause(ctx, c, cfg, time.Now().Add(d))
}

// Resume ends a pause. was tells whether there was one.
func Resume(ctx context.Context, c *events.Conn, cfg config.Config) (was bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	consumer, err := c.JetStream().Consumer(ctx, cfg.Stream, cfg.Consumer)
	if err != nil {
		return false, c.ExplainMissing("looking up consumer "+cfg.Consumer, "CONSUMER.INFO."+cfg.Stream+"."+cfg.Consumer, err)
	}
	_, err = setPause(ctx, c, cfg, time.Time{})
	return consumer.CachedInfo().Paused, err
}

func setPause(ctx context.Context, c *events.Conn, cfg config.Config, until time.Time) (time.Time, error) {
	if version := c.NC().ConnectedServerVersion(); !c.ServerAtLeast(2, 11, 0) {
		return time.Time{}, fmt.Errorf("the NATS server is of version %s; %w. Stop the workers instead: events wait in the stream", version, ErrNoPause)
	}
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	response, err := c.JetStream().PauseConsumer(ctx, cfg.Stream, cfg.Consumer, until)
	if err != nil {
		return time.Time{}, c.ExplainMissing("pausing consumer "+cfg.Consumer, "CONSUMER.PAUSE."+cfg.Stream+"."+cfg.Consumer, err)
	}
	return pauseEnd(response.PauseUntil), nil
}

// pauseEnd is zero for a pause that has none.
func pauseEnd(until time.Time) time.Time {
	if time.Until(until) > pauseEndless {
		return time.Time{}
	}
	return until
}

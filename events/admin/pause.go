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

// Pause stops delivery to all workers in these lanes for d, or for d 0 until Resume. The pause outlives restarts, and events in work
// can still be settled. It returns the lanes that are paused now, even with an error, and when the pause ends, zero for never. A bulk
// lane that does not exist is left out, unless it is the only one that is asked for.
func Pause(ctx context.Context, c *events.Conn, cfg config.Config, lanes []config.Lane, d time.Duration) (paused []config.Lane, until time.Time, err error) {
	if d == 0 {
		d = pauseForever
	}
	end := time.Now().Add(d)
	err = eachLane(ctx, c, cfg, lanes, func(lane config.Lane) (err error) {
		if until, err = setPause(ctx, c, cfg.In(lane), end); err == nil {
			paused = append(paused, lane)
		}
		return err
	})
	return paused, until, err
}

// Resume ends the pause of these lanes. It returns those that were paused.
func Resume(ctx context.Context, c *events.Conn, cfg config.Config, lanes []config.Lane) (were []config.Lane, err error) {
	err = eachLane(ctx, c, cfg, lanes, func(lane config.Lane) error {
		ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
		defer cancel()
		own := cfg.In(lane)
		consumer, err := c.JetStream().Consumer(ctx, own.Stream, own.Consumer)
		if err != nil {
			return c.ExplainMissing("looking up consumer "+own.Consumer, "CONSUMER.INFO."+own.Stream+"."+own.Consumer, err)
		}
		if consumer.CachedInfo().Paused {
			were = append(were, lane)
		}
		_, err = setPause(ctx, c, own, time.Time{})
		return err
	})
	return were, err
}

// eachLane does something to each lane, up to the first error. It leaves out a bulk lane that does not exist, unless it is the only
// one that is asked for.
func eachLane(ctx context.Context, c *events.Conn, cfg config.Config, lanes []config.Lane, do func(config.Lane) error) error {
	for _, lane := range lanes {
		if lane == config.Bulk {
			bulk, err := bulkConsumer(ctx, c, cfg)
			switch {
			case err != nil:
				return err
			case bulk == nil && len(lanes) > 1:
				continue
			case bulk == nil:
				return fmt.Errorf("%w: `revoker setup` adds it, and REVOKER_BULK_CONSUMER names another consumer than %s", events.ErrNoLane, cfg.In(lane).Consumer)
			}
		}
		if err := do(lane); err != nil {
			return err
		}
	}
	return nil
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

package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// The pause of a consumer came with server 2.11. One without an end is JetStream's longest: a time far off.
const (
	pauseForever = 100 * 365 * 24 * time.Hour
	pauseEndless = pauseForever / 2 // an end beyond that is none
)

// ErrNoPause says that the NATS server is too old for a pause.
var ErrNoPause = errors.New("a consumer can be paused from 2.11 on")

// Pause stops delivery to the whole fleet until the time d from now, or for d 0 until Resume. It lasts whatever restarts, and
// settlements go on being taken. It returns when the pause ends, zero for never.
func (c *Conn) Pause(ctx context.Context, cfg config.Config, d time.Duration) (until time.Time, err error) {
	if d == 0 {
		d = pauseForever
	}
	return c.setPause(ctx, cfg, time.Now().Add(d))
}

// Resume ends a pause; was tells whether there was one.
func (c *Conn) Resume(ctx context.Context, cfg config.Config) (was bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	consumer, err := c.js.Consumer(ctx, cfg.Stream, cfg.Consumer)
	if err != nil {
		return false, c.explainMissing("looking up consumer "+cfg.Consumer, "CONSUMER.INFO."+cfg.Stream+"."+cfg.Consumer, err)
	}
	_, err = c.setPause(ctx, cfg, time.Time{})
	return consumer.CachedInfo().Paused, err
}

func (c *Conn) setPause(ctx context.Context, cfg config.Config, until time.Time) (time.Time, error) {
	if version := c.nc.ConnectedServerVersion(); !atLeast(version, 2, 11, 0) {
		return time.Time{}, fmt.Errorf("the NATS server is of version %s; %w. Stop the workers instead: events wait in the stream", version, ErrNoPause)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := c.js.PauseConsumer(ctx, cfg.Stream, cfg.Consumer, until)
	if err != nil {
		return time.Time{}, c.explainMissing("pausing consumer "+cfg.Consumer, "CONSUMER.PAUSE."+cfg.Stream+"."+cfg.Consumer, err)
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

// noJetStream says what it may be that nobody answers a request to the JetStream API.
func (c *Conn) noJetStream() string {
	const off = "JetStream is not enabled, on this server or for this account"
	if c.api == jetstream.DefaultAPIPrefix {
		return off + "; if it has a domain, set NATS_JS_DOMAIN"
	}
	return "nobody answers on " + c.api + ">: NATS_JS_DOMAIN, or the domain of the NATS context, is wrong, or " + off
}

// explainMissing is explainAPI, with what to do where stream or consumer are missing, or JetStream is.
func (c *Conn) explainMissing(doing, request string, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%s: the stream does not exist; `revoker setup` creates it, and REVOKER_STREAM names another", doing)
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrConsumerDoesNotExist):
		return fmt.Errorf("%s: the consumer does not exist; `revoker setup` creates it, and REVOKER_CONSUMER names another", doing)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%s: %s", doing, c.noJetStream())
	case errors.As(err, &api) && api.Code == 503:
		return fmt.Errorf("%s: JetStream is not ready: %w", doing, err)
	}
	err = c.explainAPI(doing, request, err)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %s", doing, requestTimeout)
	}
	return err
}

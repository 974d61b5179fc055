package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

const (
	streamMaxAge         = 7 * 24 * time.Hour
	streamDuplicates     = 2 * time.Minute
	deadLetterMaxAge     = 30 * 24 * time.Hour
	deadLetterDuplicates = 24 * time.Hour

	setupTimeout  = 5 * time.Second // of one request
	setupInterval = time.Second     // between two tries
)

// Setup finds or creates the event stream, the dead-letter stream and the durable consumer. It waits for a server that
// is not there yet, or whose JetStream is not, and says so once. What exists is never changed: a consumer or stream that
// would break revoker's promise is an error that says what to do, other differences are warnings.
func Setup(ctx context.Context, conn *Conn, cfg config.Config) (*Consumer, *DeadLetters, error) {
	consumer, err := newConsumer(conn, cfg)
	if err != nil {
		return nil, nil, err
	}
	if err := consumer.setup(ctx); err != nil {
		consumer.deletions.close()
		return nil, nil, err
	}
	return consumer, &DeadLetters{conn: conn, stream: cfg.DeadLetterStream, subject: cfg.DeadLetterSubject}, nil
}

// setup tries until it succeeds, unless the error is one that does not pass.
func (c *Consumer) setup(ctx context.Context) error {
	said := ""
	for {
		err := c.Restore(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !transient(err):
			return err
		}
		if text := err.Error(); text != said {
			c.conn.log.Warn("JetStream is not ready; waiting for it", "error", err)
			said = text
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(setupInterval):
		}
	}
}

// ensure waits for the connection and returns the state of the durable consumer once it and the streams are there.
func (c *Conn) ensure(ctx context.Context, cfg config.Config) (*jetstream.ConsumerInfo, error) {
	if err := c.AwaitConnected(ctx); err != nil {
		return nil, err
	}
	stream, err := c.ensureStream(ctx, eventStream(cfg), cfg.Subject)
	if err != nil {
		return nil, err
	}
	if _, err := c.ensureStream(ctx, deadLetterStream(cfg), cfg.DeadLetterSubject); err != nil {
		return nil, err
	}
	return c.ensureConsumer(ctx, stream, durableConsumer(cfg))
}

// eventStream is the stream that revoker creates for the events. It refuses new events when full rather than dropping
// old ones, which were not revoked yet.
func eventStream(cfg config.Config) jetstream.StreamConfig {
	retention := map[string]jetstream.RetentionPolicy{
		"limits": jetstream.LimitsPolicy, "interest": jetstream.InterestPolicy, "workqueue": jetstream.WorkQueuePolicy,
	}
	return jetstream.StreamConfig{
		Name:       cfg.Stream,
		Subjects:   []string{cfg.Subject},
		Retention:  retention[cfg.Retention],
		Storage:    jetstream.FileStorage,
		Discard:    jetstream.DiscardNew,
		MaxAge:     streamMaxAge,
		Duplicates: streamDuplicates,
		Replicas:   cfg.Replicas,
	}
}

// deadLetterStream is the stream that revoker creates for dead letters. A full one refuses them, which keeps the events
// in their own stream. Limits retention, since deduplication outlives a crash only for messages that are still stored.
func deadLetterStream(cfg config.Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:       cfg.DeadLetterStream,
		Subjects:   []string{cfg.DeadLetterSubject},
		Retention:  jetstream.LimitsPolicy,
		Storage:    jetstream.FileStorage,
		Discard:    jetstream.DiscardNew,
		MaxAge:     deadLetterMaxAge,
		Duplicates: deadLetterDuplicates,
		Replicas:   cfg.Replicas,
	}
}

// durableConsumer is the consumer that revoker creates. Deliveries are unlimited, since the server neither redelivers
// nor keeps apart what reached a limit; a backoff is absent, since it would replace the delays of naks.
func durableConsumer(cfg config.Config) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       cfg.Consumer,
		FilterSubject: cfg.Subject,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       cfg.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: cfg.MaxAckPending,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
	}
}

// ensureStream returns the stream called want.Name, created as wanted if missing. subject is what it must store.
func (c *Conn) ensureStream(ctx context.Context, want jetstream.StreamConfig, subject string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	stream, err := c.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = c.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			stream, err = c.js.Stream(ctx, want.Name)
		}
		if err != nil {
			return nil, c.explain("creating stream "+want.Name, "STREAM.CREATE."+want.Name+`"`, err)
		}
		c.log.Info("created stream", "stream", want.Name, "subject", subject)
	}
	if err != nil {
		return nil, c.explain("looking up stream "+want.Name, "STREAM.INFO."+want.Name+`"`, err)
	}
	have := stream.CachedInfo().Config
	if err := streamFault(have, subject); err != nil {
		return nil, err
	}
	c.warnOnce("stream differs from the configuration", want.Name, compareStream(have, want, "").facts(false))
	return stream, nil
}

// ensureConsumer returns the state of the durable consumer, created as wanted if missing.
func (c *Conn) ensureConsumer(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	name := want.Durable
	consumer, err := stream.Consumer(ctx, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = stream.CreateConsumer(ctx, want)
		if errors.Is(err, jetstream.ErrConsumerExists) { // another process was faster, with another configuration
			consumer, err = stream.Consumer(ctx, name)
		}
		if err != nil {
			return nil, c.explain("creating consumer "+name, "CONSUMER.CREATE."+stream.CachedInfo().Config.Name+".", err)
		}
		c.log.Info("created consumer", "consumer", name, "stream", stream.CachedInfo().Config.Name)
	}
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, consumerRefused(stream.CachedInfo().Config, name, []string{"it is a push consumer"})
	}
	if err != nil {
		return nil, c.explain("looking up consumer "+name, "CONSUMER.INFO."+stream.CachedInfo().Config.Name+".", err)
	}
	info := consumer.CachedInfo()
	found := compareConsumer(info.Config, want, stream.CachedInfo().Config)
	if faults := found.facts(true); len(faults) > 0 {
		return nil, consumerRefused(stream.CachedInfo().Config, name, faults)
	}
	c.warnOnce("consumer differs from the configuration", name, found.facts(false))
	return info, nil
}

// warnOnce warns of differences, if there are any that were not warned of before.
func (c *Conn) warnOnce(message, name string, differences []string) {
	text := strings.Join(differences, "; ")
	c.mu.Lock()
	fresh := c.warned[name] != text
	c.warned[name] = text
	c.mu.Unlock()
	if fresh && text != "" {
		c.log.Warn(message, "name", name, "differences", text)
	}
}

// errDenied marks a request that the account's permissions forbid.
var errDenied = errors.New("the account's permissions do not allow it")

// errUnreachable takes the place of what nats.go says of a message with headers before it was ever connected: that the server
// does not support them.
var errUnreachable = errors.New("NATS is not reachable")

// explain says what was being done, and whether it timed out because the server refused the request to subject beside it.
func (c *Conn) explain(doing, subject string, err error) error {
	if errors.Is(err, nats.ErrHeadersNotSupported) && !c.nc.IsConnected() {
		err = errUnreachable
	}
	if (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)) && c.deniedSubject(subject) {
		err = errDenied
	}
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("%s: %w: %s", doing, err, c.noJetStream())
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// transient reports whether the same request may succeed later without anyone's doing.
func transient(err error) bool {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, errDenied):
		return false
	case errors.As(err, &api):
		return api.Code == 503 // JetStream is starting, has no leader, or is off
	}
	for _, passing := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrConnectionReconnecting,
		jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled, errUnreachable,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

package events

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events/internal/conn"
)

const (
	streamMaxAge         = 7 * 24 * time.Hour
	streamDuplicates     = 2 * time.Minute
	deadLetterDuplicates = 24 * time.Hour

	ensureInterval = time.Second // between two tries
)

// Ensure is what `revoker run` begins with. It finds or creates the event stream, the dead-letter stream and the durable consumer.
// It waits for a server that cannot be reached yet, or whose JetStream is not ready, and logs that once. It never changes what
// exists: a consumer or stream that would break revoker's promise is an error that says what to do, other differences are
// warnings. [MakePlan] is for who wants to change them.
func Ensure(ctx context.Context, c *Conn, cfg config.Config) (*Consumer, *DeadLetters, error) {
	consumer, err := newConsumer(c, cfg)
	if err != nil {
		return nil, nil, err
	}
	if err := consumer.restoreOnceReady(ctx); err != nil {
		consumer.deletions.Close()
		return nil, nil, err
	}
	return consumer, &DeadLetters{conn: c, stream: cfg.DeadLetterStream, subject: cfg.DeadLetterSubject}, nil
}

// restoreOnceReady tries until it succeeds, unless the error is one that does not pass.
func (c *Consumer) restoreOnceReady(ctx context.Context) error {
	logged := ""
	for {
		err := c.Restore(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !conn.Transient(err):
			return err
		}
		if text := err.Error(); text != logged {
			c.conn.Log().Warn("JetStream is not ready; waiting for it", "error", err)
			logged = text
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(ensureInterval):
		}
	}
}

// ensure returns the state of the durable consumer once it and the streams exist.
func (c *Consumer) ensure(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	stream, err := c.ensureStream(ctx, EventStream(c.cfg), c.cfg.Subject)
	if err != nil {
		return nil, err
	}
	if _, err := c.ensureStream(ctx, DeadLetterStream(c.cfg), c.cfg.DeadLetterSubject); err != nil {
		return nil, err
	}
	return c.ensureConsumer(ctx, stream, durableConsumer(c.cfg))
}

// EventStream is the stream that revoker creates for the events. A full one refuses new events. It does not drop old ones, which
// were not revoked yet.
func EventStream(cfg config.Config) jetstream.StreamConfig {
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

// DeadLetterStream is the stream that revoker creates for dead letters. A full one refuses them, which keeps the events
// in their own stream. It has limits retention, since deduplication outlives a crash only for messages that are still stored.
func DeadLetterStream(cfg config.Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:       cfg.DeadLetterStream,
		Subjects:   []string{cfg.DeadLetterSubject},
		Retention:  jetstream.LimitsPolicy,
		Storage:    jetstream.FileStorage,
		Discard:    jetstream.DiscardNew,
		Duplicates: deadLetterDuplicates,
		Replicas:   cfg.Replicas,
	}
}

// durableConsumer is the consumer that revoker creates. Deliveries are unlimited, since the server neither redelivers nor sets
// aside what reached a limit. There is no backoff, since it would replace the delays of naks.
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
func (c *Consumer) ensureStream(ctx context.Context, want jetstream.StreamConfig, subject string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	stream, err := c.conn.JetStream().Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = c.conn.JetStream().CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			stream, err = c.conn.JetStream().Stream(ctx, want.Name)
		}
		if err != nil {
			return nil, c.conn.ExplainAPI("creating stream "+want.Name, "STREAM.CREATE."+want.Name, err)
		}
		c.conn.Log().Info("created stream", "stream", want.Name, "subject", subject)
	}
	if err != nil {
		return nil, c.conn.ExplainAPI("looking up stream "+want.Name, "STREAM.INFO."+want.Name, err)
	}
	have := stream.CachedInfo().Config
	if err := streamFault(have, subject); err != nil {
		return nil, err
	}
	c.warnOnce("stream differs from the configuration", want.Name, compareStream(have, want, "").facts(false))
	return stream, nil
}

// ensureConsumer returns the state of the durable consumer, created as wanted if missing.
func (c *Consumer) ensureConsumer(ctx context.Context, stream jetstream.Stream, want jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	name := want.Durable
	consumer, err := stream.Consumer(ctx, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = stream.CreateConsumer(ctx, want)
		if errors.Is(err, jetstream.ErrConsumerExists) { // another process was faster, with another configuration
			consumer, err = stream.Consumer(ctx, name)
		}
		if err != nil {
			return nil, c.conn.Explain("creating consumer "+name, "CONSUMER.CREATE."+stream.CachedInfo().Config.Name+".", err)
		}
		c.conn.Log().Info("created consumer", "consumer", name, "stream", stream.CachedInfo().Config.Name)
	}
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, consumerRefused(stream.CachedInfo().Config, name, []string{"it is a push consumer"})
	}
	if err != nil {
		return nil, c.conn.ExplainAPI("looking up consumer "+name, "CONSUMER.INFO."+stream.CachedInfo().Config.Name+"."+name, err)
	}
	info := consumer.CachedInfo()
	found := compareConsumer(info.Config, want, stream.CachedInfo().Config)
	if faults := found.facts(true); len(faults) > 0 {
		return nil, consumerRefused(stream.CachedInfo().Config, name, faults)
	}
	c.warnOnce("consumer differs from the configuration", name, found.facts(false))
	return info, nil
}

// warnOnce warns of differences, unless it warned of the same before.
func (c *Consumer) warnOnce(message, name string, differences []string) {
	text := strings.Join(differences, "; ")
	fresh := c.warned[name] != text
	c.warned[name] = text
	if fresh && text != "" {
		c.conn.Log().Warn(message, "name", name, "differences", text)
	}
}

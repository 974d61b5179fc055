package events

import (
	"context"
	"errors"
	"maps"
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

// Consumers are the lanes from which a worker takes events. Each is pulled by a goroutine of its own.
type Consumers struct {
	Live *Consumer
	// Bulk is nil if the configuration has no such lane. If the stream has none yet, it is there but not ready.
	Bulk *Consumer
}

// Close closes both.
func (c *Consumers) Close() {
	for _, consumer := range []*Consumer{c.Live, c.Bulk} {
		if consumer != nil {
			consumer.Close()
		}
	}
}

// Ensure is what `revoker run` begins with. It finds or creates the event stream, the dead-letter stream, the receipt
// stream if receipts are on, and the durable consumers.
// It waits for a server that cannot be reached yet, or whose JetStream is not ready, and logs that once. It never changes what
// exists: a consumer or stream that would break revoker's promise is an error that says what to do, other differences are
// warnings. [MakePlan] is for who wants to change them. A stream without the bulk lane is served with one lane.
func Ensure(ctx context.Context, c *Conn, cfg config.Config) (*Consumers, *DeadLetters, error) {
	consumers := &Consumers{}
	for _, lane := range cfg.Lanes() {
		consumer, err := newConsumer(c, cfg, lane)
		if err != nil {
			consumers.Close()
			return nil, nil, err
		}
		if lane == config.Bulk {
			consumers.Bulk = consumer
			maps.Copy(consumer.warned, consumers.Live.warned) // the lanes share their streams
		} else {
			consumers.Live = consumer
		}
		err = consumer.restoreOnceReady(ctx)
		switch {
		case errors.Is(err, ErrNoLane):
			c.Log().Warn("all events take the live lane", "reason", err)
		case err != nil:
			consumers.Close()
			return nil, nil, err
		}
	}
	return consumers, &DeadLetters{conn: c, stream: cfg.DeadLetterStream, subject: cfg.DeadLetterSubject}, nil
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

// ensure returns the state of the lane's durable consumer once it and the streams exist.
func (c *Consumer) ensure(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	stream, err := c.ensureStream(ctx, EventStream(c.whole), eventVariable)
	if err != nil {
		return nil, err
	}
	if err := c.openLane(ctx, stream.CachedInfo().Config); err != nil {
		return nil, err
	}
	letters, err := c.ensureStream(ctx, DeadLetterStream(c.cfg), deadLetterVariable)
	if err != nil {
		return nil, err
	}
	if err := streamFault(letters.CachedInfo().Config, c.cfg.DeadLetterSubject); err != nil {
		return nil, err
	}
	if c.cfg.Receipts {
		receipts, err := c.ensureStream(ctx, ReceiptStream(c.cfg), receiptVariable)
		if err != nil {
			return nil, err
		}
		if err := streamFault(receipts.CachedInfo().Config, ReceiptSubject(c.cfg, "*")); err != nil {
			return nil, err
		}
	}
	info, err := c.ensureConsumer(ctx, stream, durableConsumer(c.cfg))
	if c.Lane == config.Bulk && errors.Is(err, conn.ErrDenied) {
		return nil, c.noLane(err.Error())
	}
	return info, err
}

// EventStream is the stream that revoker creates for the events. A full one refuses new events. It does not drop old ones, which
// were not revoked yet.
func EventStream(cfg config.Config) jetstream.StreamConfig {
	retention := map[string]jetstream.RetentionPolicy{
		"limits": jetstream.LimitsPolicy, "interest": jetstream.InterestPolicy, "workqueue": jetstream.WorkQueuePolicy,
	}
	return jetstream.StreamConfig{
		Name:       cfg.Stream,
		Subjects:   eventSubjects(cfg),
		Retention:  retention[cfg.Retention],
		Storage:    jetstream.FileStorage,
		Discard:    jetstream.DiscardNew,
		MaxAge:     streamMaxAge,
		Duplicates: streamDuplicates,
		Replicas:   cfg.Replicas,
	}
}

// eventSubjects are those of the lanes, the live one first.
func eventSubjects(cfg config.Config) []string {
	var subjects []string
	for _, lane := range cfg.Lanes() {
		subjects = append(subjects, cfg.In(lane).Subject)
	}
	return subjects
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

// ReceiptStream is the stream that revoker creates for receipts. It keeps the last one of each session. A full one drops the oldest:
// if it refused new ones, no event could be settled any more, and logouts would wait for an archive. Without message IDs its
// duplicate window costs nothing.
func ReceiptStream(cfg config.Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              cfg.ReceiptStream,
		Subjects:          []string{ReceiptSubject(cfg, "*")},
		Retention:         jetstream.LimitsPolicy,
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		MaxAge:            cfg.ReceiptMaxAge,
		MaxMsgs:           int64(cfg.ReceiptMaxCount),
		MaxMsgsPerSubject: 1,
		Replicas:          cfg.Replicas,
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

// ensureStream returns the stream called want.Name, created as wanted if missing. variable is the variable that names it.
func (c *Consumer) ensureStream(ctx context.Context, want jetstream.StreamConfig, variable string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	stream, err := c.conn.JetStream().Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = c.conn.JetStream().CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			stream, err = c.conn.JetStream().Stream(ctx, want.Name)
		}
		if err != nil {
			return nil, explainOverlap(c.conn.ExplainAPI("creating stream "+want.Name, "STREAM.CREATE."+want.Name, err), want.Subjects, variable)
		}
		c.conn.Log().Info("created stream", "stream", want.Name, "subjects", strings.Join(want.Subjects, ", "))
	}
	if err != nil {
		return nil, c.conn.ExplainAPI("looking up stream "+want.Name, "STREAM.INFO."+want.Name, err)
	}
	want.Subjects = want.Subjects[:1] // what to say of the bulk lane's subject is said where the lane is opened
	c.warnOnce("stream differs from the configuration", want.Name, compareStream(stream.CachedInfo().Config, want, variable).only(false))
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
		push := pushConsumer()
		push.Remedy = replaceConsumer(stream.CachedInfo().Config, name, c.Lane)
		return nil, consumerRefused(name, []Difference{push})
	}
	if err != nil {
		return nil, c.conn.ExplainAPI("looking up consumer "+name, "CONSUMER.INFO."+stream.CachedInfo().Config.Name+"."+name, err)
	}
	info := consumer.CachedInfo()
	found := compareConsumer(info.Config, want, stream.CachedInfo().Config, c.Lane)
	if faults := found.only(true); len(faults) > 0 {
		return nil, consumerRefused(name, faults)
	}
	c.warnOnce("consumer differs from the configuration", name, found.only(false))
	return info, nil
}

// warnOnce warns of differences, unless it warned of the same before.
func (c *Consumer) warnOnce(message, name string, differences []Difference) {
	text := facts(differences)
	fresh := c.warned[name] != text
	c.warned[name] = text
	if fresh && text != "" {
		c.conn.Log().Warn(message, "name", name, "differences", text, "remedy", Advice(differences))
	}
}

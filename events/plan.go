package events

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events/internal/conn"
)

// The variables that name the streams.
const (
	eventVariable      = "REVOKER_STREAM"
	deadLetterVariable = "REVOKER_DEAD_LETTER_STREAM"
)

// Plan is what it takes to make streams and consumer what the configuration says.
type Plan struct {
	Objects []Object `json:"objects"`
}

// Object is a stream or consumer.
type Object struct {
	// Kind is "stream" or "consumer".
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Missing tells that it has to be created; then the differences are its settings.
	Missing     bool         `json:"missing"`
	Differences []Difference `json:"differences"`

	apply func(context.Context) error // nil if there is nothing to do, or nothing that can be done
}

// Creates counts the objects that are missing.
func (p Plan) Creates() (n int) {
	for _, o := range p.Objects {
		if o.Missing {
			n++
		}
	}
	return n
}

// Changes counts the settings of existing objects that would be changed.
func (p Plan) Changes() int { return p.count(func(d Difference) bool { return d.Remedy == "" }) }

// Refused counts the settings that can't be changed in place.
func (p Plan) Refused() int { return p.count(func(d Difference) bool { return d.Remedy != "" }) }

func (p Plan) count(which func(Difference) bool) (n int) {
	for _, o := range p.Objects {
		for _, d := range o.Differences {
			if !o.Missing && which(d) {
				n++
			}
		}
	}
	return n
}

// planner looks at what exists. It changes nothing; the plan's functions do.
type planner struct{ conn *Conn }

// MakePlan compares what exists with the configuration and changes nothing.
func MakePlan(ctx context.Context, c *Conn, cfg config.Config) (Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*conn.RequestTimeout)
	defer cancel()
	p := planner{c}
	stream, have, err := p.planStream(ctx, EventStream(cfg), eventVariable)
	if err != nil {
		return Plan{}, err
	}
	letters, _, err := p.planStream(ctx, DeadLetterStream(cfg), deadLetterVariable)
	if err != nil {
		return Plan{}, err
	}
	consumer, err := p.planConsumer(ctx, cfg, have)
	return Plan{Objects: []Object{stream, letters, consumer}}, err
}

// Apply creates and changes what the plan says, and leaves what it refuses as it is. The error names the object at which it
// stopped; those before it are done.
func (p Plan) Apply(ctx context.Context) error {
	for _, o := range p.Objects {
		if o.apply == nil {
			continue
		}
		if err := o.apply(ctx); err != nil {
			return err
		}
	}
	return nil
}

// planStream also returns the stream's configuration as it is, nil if the stream is missing.
func (p planner) planStream(ctx context.Context, want jetstream.StreamConfig, variable string) (Object, *jetstream.StreamConfig, error) {
	o := Object{Kind: "stream", Name: want.Name, Differences: []Difference{}}
	stream, err := p.conn.JetStream().Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		o.Missing, o.Differences = true, newStreamSettings(want)
		o.apply = func(ctx context.Context) error {
			_, err := p.conn.JetStream().CreateStream(ctx, want)
			return p.conn.ExplainMissing("creating stream "+want.Name, "STREAM.CREATE."+want.Name, err)
		}
		return o, nil, nil
	}
	if err != nil {
		return o, nil, p.conn.ExplainMissing("looking up stream "+want.Name, "STREAM.INFO."+want.Name, err)
	}
	have := stream.CachedInfo().Config
	fixed := have
	if o.note(compareStream(have, want, variable).fixAll(&fixed)) {
		o.apply = func(ctx context.Context) error {
			_, err := p.conn.JetStream().UpdateStream(ctx, fixed)
			return p.conn.ExplainMissing("changing stream "+want.Name, "STREAM.UPDATE."+want.Name, err)
		}
	}
	return o, &have, nil
}

func (p planner) planConsumer(ctx context.Context, cfg config.Config, stream *jetstream.StreamConfig) (Object, error) {
	want := durableConsumer(cfg)
	o := Object{Kind: "consumer", Name: want.Durable, Differences: []Difference{}}
	info, err := p.conn.ConsumerInfo(ctx, cfg.Stream, cfg.Consumer)
	if stream == nil || errors.Is(err, jetstream.ErrConsumerNotFound) {
		o.Missing, o.Differences = true, newConsumerSettings(want)
		o.apply = func(ctx context.Context) error {
			_, err := p.conn.JetStream().CreateConsumer(ctx, cfg.Stream, want)
			return p.conn.ExplainMissing("creating consumer "+want.Durable, "CONSUMER.CREATE."+cfg.Stream+".>", err)
		}
		return o, nil
	}
	if err != nil {
		return o, p.conn.ExplainMissing("looking up consumer "+want.Durable, "CONSUMER.INFO."+cfg.Stream+"."+want.Durable, err)
	}
	fixed := info.Config // with the pause that it may have
	if o.note(compareConsumer(info.Config, want, *stream).fixAll(&fixed)) {
		o.apply = func(ctx context.Context) error {
			_, err := p.conn.JetStream().UpdateConsumer(ctx, cfg.Stream, fixed)
			return p.conn.ExplainMissing("changing consumer "+want.Durable, "CONSUMER.CREATE."+cfg.Stream+".>", err)
		}
	}
	return o, nil
}

// note adds differences, and reports whether any of them will be changed.
func (o *Object) note(list []Difference, changes bool) bool {
	o.Differences = append(o.Differences, list...)
	return changes
}

// fixAll fixes what can be fixed in a configuration.
func (l differences[C]) fixAll(c *C) (list []Difference, changes bool) {
	for _, d := range l {
		list = append(list, d.Difference)
		if d.fix != nil {
			d.fix(c)
			changes = true
		}
	}
	return list, changes
}

func newStreamSettings(want jetstream.StreamConfig) []Difference {
	return []Difference{
		{Setting: "subjects", Wanted: strings.Join(want.Subjects, ", ")},
		{Setting: "retention", Wanted: retentionName(want.Retention)},
		{Setting: "storage", Wanted: storage(want.Storage)},
		{Setting: "discard", Wanted: "new"},
		{Setting: "max age", Wanted: maxAge(want.MaxAge)},
		{Setting: "duplicate window", Wanted: want.Duplicates.String()},
		{Setting: "replicas", Wanted: fmt.Sprint(want.Replicas)},
	}
}

func newConsumerSettings(want jetstream.ConsumerConfig) []Difference {
	return []Difference{
		{Setting: "kind", Wanted: "pull consumer"},
		{Setting: "filter", Wanted: want.FilterSubject},
		{Setting: "ack policy", Wanted: "explicit"},
		{Setting: "ack wait", Wanted: want.AckWait.String()},
		{Setting: "max deliver", Wanted: "unlimited"},
		{Setting: "max ack pending", Wanted: fmt.Sprint(want.MaxAckPending)},
	}
}

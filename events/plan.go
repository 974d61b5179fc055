package events

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// The variables that name the streams.
const (
	eventVariable      = "REVOKER_STREAM"
	deadLetterVariable = "REVOKER_DEAD_LETTER_STREAM"
)

// Plan is what it takes to bring streams and consumer to the configuration.
type Plan struct {
	Objects []Object `json:"objects"`
}

// Object is a stream or consumer.
type Object struct {
	// Kind is "stream" or "consumer".
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Missing tells that it is to be created; the differences then are its settings.
	Missing     bool         `json:"missing"`
	Differences []Difference `json:"differences"`

	apply func(context.Context) error // nil where there is nothing to do, or nothing that can be done
}

// Creates, Changes and Refused count objects that are missing, settings that would be changed, and settings that can't be.
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

// MakePlan compares what is there with the configuration and changes nothing.
func (c *Conn) MakePlan(ctx context.Context, cfg config.Config) (Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	stream, have, err := c.planStream(ctx, eventStream(cfg), eventVariable)
	if err != nil {
		return Plan{}, err
	}
	letters, _, err := c.planStream(ctx, deadLetterStream(cfg), deadLetterVariable)
	if err != nil {
		return Plan{}, err
	}
	consumer, err := c.planConsumer(ctx, cfg, have)
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

// planStream returns the stream's configuration as it is too, nil where it is missing.
func (c *Conn) planStream(ctx context.Context, want jetstream.StreamConfig, variable string) (Object, *jetstream.StreamConfig, error) {
	o := Object{Kind: "stream", Name: want.Name, Differences: []Difference{}}
	stream, err := c.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		o.Missing, o.Differences = true, newStreamSettings(want)
		o.apply = func(ctx context.Context) error {
			_, err := c.js.CreateStream(ctx, want)
			return c.explainPlan("creating stream "+want.Name, "STREAM.CREATE."+want.Name, err)
		}
		return o, nil, nil
	}
	if err != nil {
		return o, nil, c.explainMissing("looking up stream "+want.Name, "STREAM.INFO."+want.Name, err)
	}
	have := stream.CachedInfo().Config
	mended := have
	if o.take(compareStream(have, want, variable).mendAll(&mended)) {
		o.apply = func(ctx context.Context) error {
			_, err := c.js.UpdateStream(ctx, mended)
			return c.explainPlan("changing stream "+want.Name, "STREAM.UPDATE."+want.Name, err)
		}
	}
	return o, &have, nil
}

func (c *Conn) planConsumer(ctx context.Context, cfg config.Config, stream *jetstream.StreamConfig) (Object, error) {
	want := durableConsumer(cfg)
	o := Object{Kind: "consumer", Name: want.Durable, Differences: []Difference{}}
	info, err := c.consumerInfo(ctx, cfg)
	if stream == nil || errors.Is(err, jetstream.ErrConsumerNotFound) {
		o.Missing, o.Differences = true, newConsumerSettings(want)
		o.apply = func(ctx context.Context) error {
			_, err := c.js.CreateConsumer(ctx, cfg.Stream, want)
			return c.explainPlan("creating consumer "+want.Durable, "CONSUMER.CREATE."+cfg.Stream+".>", err)
		}
		return o, nil
	}
	if err != nil {
		return o, c.explainMissing("looking up consumer "+want.Durable, "CONSUMER.INFO."+cfg.Stream+"."+want.Durable, err)
	}
	mended := info.Config // with the pause that it may have
	if o.take(compareConsumer(info.Config, want, *stream).mendAll(&mended)) {
		o.apply = func(ctx context.Context) error {
			_, err := c.js.UpdateConsumer(ctx, cfg.Stream, mended)
			return c.explainPlan("changing consumer "+want.Durable, "CONSUMER.CREATE."+cfg.Stream+".>", err)
		}
	}
	return o, nil
}

// consumerInfo is the state of the durable consumer, of whatever kind it is.
func (c *Conn) consumerInfo(ctx context.Context, cfg config.Config) (*jetstream.ConsumerInfo, error) {
	consumer, err := c.js.Consumer(ctx, cfg.Stream, cfg.Consumer)
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		push, err := c.js.PushConsumer(ctx, cfg.Stream, cfg.Consumer)
		if err != nil {
			return nil, err
		}
		return push.CachedInfo(), nil
	}
	if err != nil {
		return nil, err
	}
	return consumer.CachedInfo(), nil
}

// take takes the differences over, and reports whether any is to be changed.
func (o *Object) take(list []Difference, changes bool) bool {
	o.Differences = append(o.Differences, list...)
	return changes
}

// mendAll mends what can be mended in a configuration.
func (l differences[C]) mendAll(c *C) (list []Difference, changes bool) {
	for _, d := range l {
		list = append(list, d.Difference)
		if d.mend != nil {
			d.mend(c)
			changes = true
		}
	}
	return list, changes
}

func (c *Conn) explainPlan(doing, request string, err error) error {
	if err == nil {
		return nil
	}
	return c.explainMissing(doing, request, err)
}

func newStreamSettings(want jetstream.StreamConfig) []Difference {
	return []Difference{
		{Setting: "subjects", Wanted: strings.Join(want.Subjects, ", ")},
		{Setting: "retention", Wanted: retentionName(want.Retention)},
		{Setting: "storage", Wanted: storage(want.Storage)},
		{Setting: "discard", Wanted: "new"},
		{Setting: "max age", Wanted: want.MaxAge.String()},
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

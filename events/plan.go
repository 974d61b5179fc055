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
	receiptVariable    = "REVOKER_RECEIPT_STREAM"
)

// errorFilterNotStored is an error code of the JetStream API: the stream does not store what a consumer is to deliver.
const errorFilterNotStored = 10093

const (
	kindStream   = "stream"
	kindConsumer = "consumer"
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
	// Subjects are those that a missing stream is to store.
	Subjects []string `json:"-"`

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
	plan := Plan{Objects: []Object{stream, letters}}
	if cfg.Receipts {
		receipts, _, err := p.planStream(ctx, ReceiptStream(cfg), receiptVariable)
		if err != nil {
			return Plan{}, err
		}
		plan.Objects = append(plan.Objects, receipts)
	}
	for _, lane := range cfg.Lanes() {
		consumer, err := p.planConsumer(ctx, cfg, have, lane)
		if err != nil {
			return Plan{}, err
		}
		plan.Objects = append(plan.Objects, consumer)
	}
	return plan, nil
}

// Apply creates and changes what the plan says, and leaves what it refuses as it is. The error names the object at which it
// stopped; those before it are done.
//
// The consumers of a stream that exists come before the stream, so that no event is stored on a new subject before a consumer waits
// for it: with interest retention it would be dropped. Servers before 2.10 want the subject first.
func (p Plan) Apply(ctx context.Context) error {
	var first, then []Object
	for _, o := range p.Objects {
		if o.Kind == kindConsumer && !p.Objects[0].Missing {
			first = append(first, o)
		} else {
			then = append(then, o)
		}
	}
	for _, o := range first {
		var api *jetstream.APIError
		err := o.do(ctx)
		if errors.As(err, &api) && api.ErrorCode == errorFilterNotStored {
			then = append(then, o)
		} else if err != nil {
			return err
		}
	}
	for _, o := range then {
		if err := o.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (o Object) do(ctx context.Context) error {
	if o.apply == nil {
		return nil
	}
	return o.apply(ctx)
}

// planStream also returns the stream's configuration as it is, nil if the stream is missing.
func (p planner) planStream(ctx context.Context, want jetstream.StreamConfig, variable string) (Object, *jetstream.StreamConfig, error) {
	o := Object{Kind: kindStream, Name: want.Name, Differences: []Difference{}}
	stream, err := p.conn.JetStream().Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		o.Missing, o.Differences, o.Subjects = true, newStreamSettings(want), want.Subjects
		o.apply = func(ctx context.Context) error {
			_, err := p.conn.JetStream().CreateStream(ctx, want)
			return explainOverlap(p.conn.ExplainMissing("creating stream "+want.Name, "STREAM.CREATE."+want.Name, err), want.Subjects, variable)
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
			return explainOverlap(p.conn.ExplainMissing("changing stream "+want.Name, "STREAM.UPDATE."+want.Name, err), want.Subjects, variable)
		}
	}
	return o, &have, nil
}

func (p planner) planConsumer(ctx context.Context, whole config.Config, stream *jetstream.StreamConfig, lane config.Lane) (Object, error) {
	cfg := whole.In(lane)
	want := durableConsumer(cfg)
	o := Object{Kind: kindConsumer, Name: want.Durable, Differences: []Difference{}}
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
	found := compareConsumer(info.Config, want, *stream, lane)
	found.changeable(len(whole.Lanes()) > 1 && takesTheOnly(info.Config, *stream, cfg.Subject),
		differs("filter", "none", cfg.Subject, "it would take the events of the bulk lane too"),
		func(c *jetstream.ConsumerConfig) { c.FilterSubject = cfg.Subject })
	if o.note(found.fixAll(&fixed)) {
		o.apply = func(ctx context.Context) error {
			_, err := p.conn.JetStream().UpdateConsumer(ctx, cfg.Stream, fixed)
			return p.conn.ExplainMissing("changing consumer "+want.Durable, "CONSUMER.CREATE."+cfg.Stream+".>", err)
		}
	}
	return o, nil
}

// takesTheOnly reports whether a consumer has no filter, on a stream that stores the subject and nothing else.
func takesTheOnly(consumer jetstream.ConsumerConfig, stream jetstream.StreamConfig, subject string) bool {
	return consumer.FilterSubject == "" && len(consumer.FilterSubjects) == 0 && len(stream.Subjects) == 1 && stream.Subjects[0] == subject
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
	list := []Difference{
		{Setting: "subjects", Wanted: strings.Join(want.Subjects, ", ")},
		{Setting: "retention", Wanted: retentionName(want.Retention)},
		{Setting: "storage", Wanted: storage(want.Storage)},
		{Setting: "discard", Wanted: strings.TrimPrefix(strings.ToLower(want.Discard.String()), "discard")},
		{Setting: "max age", Wanted: maxAge(want.MaxAge)},
	}
	if want.MaxMsgs > 0 { // a receipt stream, which has no message IDs
		list = append(list, Difference{Setting: "max messages", Wanted: fmt.Sprint(want.MaxMsgs)},
			Difference{Setting: "max messages per subject", Wanted: fmt.Sprint(want.MaxMsgsPerSubject)})
	} else {
		list = append(list, Difference{Setting: "duplicate window", Wanted: want.Duplicates.String()})
	}
	return append(list, Difference{Setting: "replicas", Wanted: fmt.Sprint(want.Replicas)})
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

package events_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/eventstest"
)

func TestSetupCreatesWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, _ := h.Ensure(t)
	stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	got := stream.CachedInfo().Config
	if got.Subjects[0] != "session.ended" || got.Retention != jetstream.LimitsPolicy || got.Discard != jetstream.DiscardNew ||
		got.Storage != jetstream.FileStorage || got.MaxAge != 7*24*time.Hour || got.Duplicates != 2*time.Minute {
		t.Errorf("event stream: %+v", got)
	}
	if stream, err = h.JS.Stream(eventstest.Deadline(t), "SESSIONS_DLQ"); err != nil {
		t.Fatal(err)
	}
	got = stream.CachedInfo().Config
	if got.Subjects[0] != "dlq.session.ended" || got.Retention != jetstream.LimitsPolicy || got.Discard != jetstream.DiscardNew ||
		got.MaxAge != 0 || got.Duplicates != 24*time.Hour {
		t.Errorf("dead-letter stream: %+v", got)
	}
	durable := h.Info(t).Config
	if durable.AckPolicy != jetstream.AckExplicitPolicy || durable.AckWait != 10*time.Second || durable.MaxDeliver != -1 ||
		durable.MaxAckPending != 50_000 || len(durable.BackOff) != 0 || durable.DeliverPolicy != jetstream.DeliverAllPolicy ||
		durable.FilterSubject != "session.ended" || durable.InactiveThreshold != 0 {
		t.Errorf("consumer: %+v", durable)
	}
	if consumer.AckWait() != 10*time.Second {
		t.Errorf("ack wait %s", consumer.AckWait())
	}
}

func TestSetupChangesNothingThatExists(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	before := h.Info(t)
	h.Cfg.AckWait, h.Cfg.MaxAckPending = 20*time.Second, 70_000
	consumer, _ := h.Ensure(t)
	if after := h.Info(t); after.Config.AckWait != before.Config.AckWait || after.Config.MaxAckPending != before.Config.MaxAckPending {
		t.Errorf("the consumer was changed: %+v", after.Config)
	}
	if consumer.AckWait() != 10*time.Second {
		t.Errorf("ack wait %s is not the actual one", consumer.AckWait())
	}
	if text := strings.Join(h.Log.Lines(), "\n"); !strings.Contains(text, "ack wait is 10s, not 20s") || !strings.Contains(text, "max ack pending is 50000, not 70000") {
		t.Errorf("no warning of the differences in\n%s", text)
	}
}

// Each of these would lose events, or keep them from being retried as asked.
func TestSetupRefusesAConsumerThatBreaksThePromise(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	sound := jetstream.ConsumerConfig{FilterSubject: "session.ended", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 10 * time.Second, MaxDeliver: -1, MaxAckPending: 50_000}
	for name, c := range map[string]struct {
		change func(*jetstream.ConsumerConfig)
		want   string
	}{
		"max deliver":    {func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 }, "max deliver is 5"},
		"backoff":        {func(c *jetstream.ConsumerConfig) { c.MaxDeliver, c.BackOff = 3, []time.Duration{time.Second} }, "backoff is 1s, not none"},
		"ack none":       {func(c *jetstream.ConsumerConfig) { c.AckPolicy, c.MaxAckPending = jetstream.AckNonePolicy, 0 }, "ack policy is none"},
		"ack all":        {func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy }, "ack policy is all"},
		"another filter": {func(c *jetstream.ConsumerConfig) { c.FilterSubject = "session.ended.eu" }, "filter is session.ended.eu, not session.ended"},
		"two filters": {func(c *jetstream.ConsumerConfig) {
			c.FilterSubject, c.FilterSubjects = "", []string{"session.ended", "session.ended.eu"}
		}, "filter is session.ended, session.ended.eu"},
		"no filter":          {func(c *jetstream.ConsumerConfig) { c.FilterSubject = "" }, "filter is session.ended, session.ended.eu"},
		"new events only":    {func(c *jetstream.ConsumerConfig) { c.DeliverPolicy = jetstream.DeliverNewPolicy }, "deliver policy is new"},
		"inactive threshold": {func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour }, "inactive threshold is 1h"},
		"headers only":       {func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }, "headers only"},
		"priority groups": {func(c *jetstream.ConsumerConfig) {
			c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"a"}
		}, "priority groups"},
		"push": {func(c *jetstream.ConsumerConfig) { c.DeliverSubject = "somewhere" }, "push consumer"},
	} {
		// One after the other, on one stream: they differ in the consumer alone.
		config := sound
		config.Durable = strings.ReplaceAll(name, " ", "-")
		c.change(&config)
		stream, err := h.JS.UpdateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended", "session.ended.eu"}, Discard: jetstream.DiscardNew})
		if err != nil {
			t.Fatal(err)
		}
		if config.DeliverSubject != "" {
			_, err = h.JS.CreatePushConsumer(eventstest.Deadline(t), "SESSIONS", config)
		} else {
			_, err = stream.CreateConsumer(eventstest.Deadline(t), config)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		h.Cfg.Consumer = config.Durable
		_, _, err = events.Ensure(eventstest.Deadline(t), h.Conn, h.Cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "revoker setup") {
			t.Errorf("%s: got %v, want %q in it and what to do", name, err, c.want)
		}
		inPlace := slices.Contains([]string{"max deliver", "backoff", "inactive threshold", "headers only"}, name)
		if err != nil && strings.Contains(err.Error(), "nats consumer rm") == inPlace {
			t.Errorf("%s: it can be changed in place: %t, and the advice is %v", name, inPlace, err)
		}
	}
	h.Cfg.Consumer = "sound"
	sound.Durable = "sound"
	if _, err := h.JS.CreateConsumer(eventstest.Deadline(t), "SESSIONS", sound); err != nil {
		t.Fatal(err)
	}
	h.Ensure(t)
}

func TestSetupAcceptsNoFilterWhereTheStreamHasTheOneSubject(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.JS.CreateConsumer(eventstest.Deadline(t), "SESSIONS", jetstream.ConsumerConfig{Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1}); err != nil {
		t.Fatal(err)
	}
	h.Ensure(t)
}

func TestSetupRefusesAStreamWithoutTheSubject(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	_, _, err := events.Ensure(eventstest.Deadline(t), h.Conn, h.Cfg)
	if err == nil || !strings.Contains(err.Error(), "stores other, but not session.ended") {
		t.Errorf("got %v", err)
	}
}

func TestSetupWarnsOfAStreamThatDropsEvents(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	config := jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.*"}, MaxMsgs: 1000, MaxMsgsPerSubject: 1, Storage: jetstream.MemoryStorage, MaxAge: time.Hour}
	if _, err := h.JS.CreateStream(eventstest.Deadline(t), config); err != nil {
		t.Fatal(err)
	}
	h.Ensure(t)
	text := strings.Join(h.Log.Lines(), "\n")
	for _, want := range []string{"max messages per subject is 1", "discard is old", "storage is memory", "max age is 1h0m0s"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// A dead letter that expires is a session that is neither revoked nor on record. A stream from before is warned of, and setup
// changes it.
func TestDeadLettersThatExpireAreWarnedOf(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	stream, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{
		Name: "SESSIONS_DLQ", Subjects: []string{"dlq.session.ended"}, Discard: jetstream.DiscardNew, MaxAge: 30 * 24 * time.Hour, Duplicates: 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Ensure(t)
	text := strings.Join(h.Log.Lines(), "\n")
	if n := strings.Count(text, "max age is 720h0m0s, not unlimited"); n != 1 || !strings.Contains(text, "`revoker setup` changes max age") {
		t.Errorf("%d warnings, or no remedy, in\n%s", n, text)
	}
	if err := h.plan(t).Apply(eventstest.Deadline(t)); err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(eventstest.Deadline(t)); err != nil || info.Config.MaxAge != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

// The server's words, "subjects overlap with an existing stream", name neither a subject nor a variable.
func TestASubjectThatAnotherStreamStores(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: "ARCHIVE", Subjects: []string{"dlq.>"}}); err != nil {
		t.Fatal(err)
	}
	_, _, ensured := events.Ensure(eventstest.Deadline(t), h.Conn, h.Cfg)
	for by, err := range map[string]error{"run": ensured, "setup": h.plan(t).Apply(eventstest.Deadline(t))} {
		if err == nil {
			t.Errorf("%s sees nothing wrong", by)
			continue
		}
		for _, want := range []string{"creating stream SESSIONS_DLQ", "nats stream ls --subject dlq.session.ended", "REVOKER_DEAD_LETTER_STREAM", "REVOKER_DEAD_LETTER_SUBJECT"} {
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "err_code") {
				t.Errorf("%s says %v, without %q", by, err, want)
			}
		}
	}
}

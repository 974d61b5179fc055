package events_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

func (h *harness) plan(t *testing.T) events.Plan {
	t.Helper()
	plan, err := events.MakePlan(eventstest.Deadline(t), h.Conn, h.Cfg)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func (h *harness) apply(t *testing.T) {
	t.Helper()
	if err := h.plan(t).Apply(eventstest.Deadline(t)); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) clean(t *testing.T) {
	t.Helper()
	if plan := h.plan(t); plan.Creates()+plan.Changes()+plan.Refused() != 0 {
		t.Errorf("after applying: %+v", plan.Objects)
	}
}

func TestAPlanCreatesWhatRunWouldAndThenIsEmpty(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if plan := h.plan(t); plan.Creates() != 4 || plan.Changes() != 0 || plan.Refused() != 0 {
		t.Errorf("%+v", plan)
	}
	h.apply(t)
	h.clean(t)
	before := len(h.Log.Lines())
	h.Ensure(t)
	if said := h.Log.Lines()[before:]; len(said) != 0 {
		t.Errorf("`run` finds something: %q", said)
	}
}

// Whatever the plan offers to change the server really changes, and no message is gone.
func TestAPlanChangesAStreamInPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*jetstream.StreamConfig)
		want   string
	}{
		"subjects":        {func(c *jetstream.StreamConfig) { c.Subjects = []string{"other"} }, "subjects are other, not other, session.ended"},
		"per subject":     {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 3 }, "max messages per subject is 3"},
		"per subject new": {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = 3, true }, "max messages per subject is 3"},
		"discard":         {func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 100, jetstream.DiscardOld }, "discard is old"},
		"max age":         {func(c *jetstream.StreamConfig) { c.MaxAge, c.Duplicates = time.Hour, time.Minute }, "max age is 1h0m0s, not 168h0m0s"},
		"no ack":          {func(c *jetstream.StreamConfig) { c.NoAck = true }, "publish acknowledgements are off"},
		"interest":        {func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, "retention is interest, not limits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			config := jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}, Discard: jetstream.DiscardNew}
			c.change(&config)
			stream, err := h.JS.CreateStream(eventstest.Deadline(t), config)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.CreateConsumer(eventstest.Deadline(t), jetstream.ConsumerConfig{Durable: "another", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := h.NC.Publish(config.Subjects[0], []byte("{}")); err != nil {
					t.Fatal(err)
				}
			}
			stored := func() uint64 {
				info, err := stream.Info(eventstest.Deadline(t))
				if err != nil {
					t.Fatal(err)
				}
				return info.State.Msgs
			}
			testproc.WaitFor(t, "three messages", func() bool { return stored() == 3 })
			plan := h.plan(t)
			text := ""
			for _, d := range plan.Objects[0].Differences {
				text += d.String() + "\n"
			}
			if plan.Changes() == 0 || plan.Refused() != 0 || !strings.Contains(text, c.want) {
				t.Errorf("%d changes, %d refused, no %q in\n%s", plan.Changes(), plan.Refused(), c.want, text)
			}
			h.apply(t)
			h.clean(t)
			if n := stored(); n != 3 {
				t.Errorf("%d messages are left of 3", n)
			}
		})
	}
}

// What is more generous than revoker's own is left as it is.
func TestAPlanTakesNothingAway(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{
		Name: "SESSIONS", Subjects: []string{"session.>"}, MaxAge: 30 * 24 * time.Hour, Duplicates: time.Hour, MaxBytes: 1 << 30, Discard: jetstream.DiscardNew,
	}); err != nil {
		t.Fatal(err)
	}
	if plan := h.plan(t); len(plan.Objects[0].Differences) != 0 {
		t.Errorf("%+v", plan.Objects[0])
	}
}

func TestAPlanRefusesWhatCantBeChangedAndDoesTheRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		retention string
		config    jetstream.StreamConfig
		setting   string
	}{
		"storage":             {"limits", jetstream.StreamConfig{Storage: jetstream.MemoryStorage}, "storage"},
		"work queue":          {"limits", jetstream.StreamConfig{Retention: jetstream.WorkQueuePolicy}, "retention"},
		"limits to interest":  {"interest", jetstream.StreamConfig{}, "retention"},
		"limits to workqueue": {"workqueue", jetstream.StreamConfig{}, "retention"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.Cfg.Retention = c.retention
			c.config.Name, c.config.Subjects, c.config.MaxAge = "SESSIONS", []string{"session.ended"}, time.Hour
			if _, err := h.JS.CreateStream(eventstest.Deadline(t), c.config); err != nil {
				t.Fatal(err)
			}
			h.apply(t)
			plan := h.plan(t)
			if plan.Creates() != 0 || plan.Changes() != 0 || plan.Refused() != 1 {
				t.Fatalf("left: %+v", plan.Objects)
			}
			if d := plan.Objects[0].Differences[0]; d.Setting != c.setting || !strings.Contains(d.Remedy, "REVOKER_STREAM") {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestAPlanChangesAConsumerInPlaceOrRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*jetstream.ConsumerConfig)
		refused int
	}{
		"max deliver": {func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 }, 0},
		"backoff": {func(c *jetstream.ConsumerConfig) {
			c.MaxDeliver, c.BackOff = 3, []time.Duration{time.Second, time.Minute}
		}, 0},
		"inactive threshold": {func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour }, 0},
		"headers only":       {func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }, 0},
		"ack wait":           {func(c *jetstream.ConsumerConfig) { c.AckWait = time.Second }, 0},
		"max ack pending":    {func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 10 }, 0},
		"ack policy":         {func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy }, 1},
		"deliver policy":     {func(c *jetstream.ConsumerConfig) { c.DeliverPolicy = jetstream.DeliverNewPolicy }, 1},
		"filter":             {func(c *jetstream.ConsumerConfig) { c.FilterSubject = "session.other" }, 1},
		"replay policy":      {func(c *jetstream.ConsumerConfig) { c.ReplayPolicy = jetstream.ReplayOriginalPolicy }, 1},
		"memory":             {func(c *jetstream.ConsumerConfig) { c.MemoryStorage = true }, 1},
		"push":               {func(c *jetstream.ConsumerConfig) { c.DeliverSubject = "somewhere" }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			until := time.Now().Add(time.Hour)
			config := jetstream.ConsumerConfig{Durable: "revoker", FilterSubject: "session.ended", AckPolicy: jetstream.AckExplicitPolicy,
				AckWait: 10 * time.Second, MaxDeliver: -1, MaxAckPending: 50_000, PauseUntil: &until}
			c.change(&config)
			h.createForeign(t, config)
			if plan := h.plan(t); plan.Refused() != c.refused || c.refused == 0 && plan.Changes() == 0 {
				t.Errorf("%+v", plan.Objects)
			}
			h.apply(t)
			if c.refused > 0 {
				remedy := h.plan(t).Objects[2].Differences[0].Remedy
				if !strings.Contains(remedy, "nats consumer rm SESSIONS revoker") {
					t.Errorf("what to do instead: %q", remedy)
				}
				return
			}
			h.clean(t)
			h.Ensure(t) // does not refuse it
			if !h.Info(t).Paused {
				t.Error("the pause is over")
			}
		})
	}
}

// createForeign creates the event stream with one more subject, and a consumer.
func (h *harness) createForeign(t *testing.T, config jetstream.ConsumerConfig) {
	t.Helper()
	stream, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{
		Name: "SESSIONS", Subjects: []string{"session.ended", "session.other"}, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		t.Fatal(err)
	}
	if config.DeliverSubject != "" {
		_, err = h.JS.CreatePushConsumer(eventstest.Deadline(t), "SESSIONS", config)
	} else {
		_, err = stream.CreateConsumer(eventstest.Deadline(t), config)
	}
	if err != nil {
		t.Fatal(err)
	}
}

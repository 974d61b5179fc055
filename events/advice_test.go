package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/eventstest"
)

// Whoever follows the advice on a consumer that can't be changed, in the order of its words, loses no event, whatever the
// stream's retention.
func TestFollowingTheAdviceOnAConsumerLosesNoEvent(t *testing.T) {
	t.Parallel()
	for name, retention := range map[string]jetstream.RetentionPolicy{
		"limits": jetstream.LimitsPolicy, "interest": jetstream.InterestPolicy, "workqueue": jetstream.WorkQueuePolicy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.Cfg.Retention = name
			if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{
				Name: "SESSIONS", Subjects: []string{"session.ended", "session.other"}, Retention: retention, Discard: jetstream.DiscardNew,
			}); err != nil {
				t.Fatal(err)
			}
			if _, err := h.JS.CreateConsumer(eventstest.Deadline(t), "SESSIONS", jetstream.ConsumerConfig{
				Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "session.*", MaxDeliver: -1,
			}); err != nil {
				t.Fatal(err)
			}
			const stored = 20
			for range stored {
				h.Publish(t, &nats.Msg{Data: []byte(`{"sessionId":"a"}`)})
			}
			_, _, err := events.Ensure(eventstest.Deadline(t), h.Conn, h.Cfg)
			plan := h.plan(t)
			if err == nil || plan.Refused() != 1 {
				t.Fatalf("%v, %+v", err, plan.Objects)
			}
			advice := plan.Objects[2].Differences[0].Remedy
			if !strings.Contains(err.Error(), advice) {
				t.Errorf("`run` says %q, `setup` %q", err, advice)
			}
			h.follow(t, advice)
			if n := h.Info(t).NumPending; n != stored {
				t.Errorf("%d of %d events are left after following %q", n, stored, advice)
			}
		})
	}
}

// follow does what the advice says first, and then the other thing.
func (h *harness) follow(t *testing.T, advice string) {
	t.Helper()
	remove := func() {
		if err := h.JS.DeleteConsumer(eventstest.Deadline(t), "SESSIONS", "revoker"); err != nil {
			t.Fatal(err)
		}
	}
	deleting, naming := strings.Index(advice, "nats consumer rm SESSIONS revoker"), strings.Index(advice, "Name a new consumer with REVOKER_CONSUMER")
	if deleting < 0 {
		t.Fatalf("it does not say what to do with the old one: %q", advice)
	}
	if naming < 0 || deleting < naming {
		remove()
		h.apply(t)
		return
	}
	h.Cfg.Consumer = "revoker-2"
	h.apply(t)
	remove()
}

// A stream is deleted after its messages are done with, never before.
func TestTheAdviceOnAStreamKeepsItsMessages(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for name, subject := range map[string]string{h.Cfg.Stream: h.Cfg.Subject, h.Cfg.DeadLetterStream: h.Cfg.DeadLetterSubject} {
		if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, Storage: jetstream.MemoryStorage}); err != nil {
			t.Fatal(err)
		}
	}
	objects := h.plan(t).Objects
	for i, first := range []string{"stop the publishers, wait until `revoker status`", "name another stream and subject with REVOKER_DEAD_LETTER_STREAM"} {
		remedy := ""
		for _, d := range objects[i].Differences {
			if d.Setting == "storage" {
				remedy = d.Remedy
			}
		}
		before, after := strings.Index(remedy, first), strings.Index(remedy, "nats stream rm "+objects[i].Name)
		if before < 0 || after < before {
			t.Errorf("%s: %q", objects[i].Name, remedy)
		}
	}
	// A retention that nobody needs to change is kept by saying so.
	h.Cfg.Retention = "workqueue"
	for _, d := range h.plan(t).Objects[0].Differences {
		if d.Setting == "retention" && !strings.HasPrefix(d.Remedy, "set REVOKER_RETENTION=limits to keep it") {
			t.Errorf("%+v", d)
		}
	}
}

// The server refuses a second consumer of a work queue's events, so no advice may ask for one.
func TestAWorkQueueTakesNoSecondConsumer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Cfg.Retention = "workqueue"
	h.apply(t)
	h.Cfg.Consumer = "revoker-2"
	err := h.plan(t).Apply(eventstest.Deadline(t))
	var api *jetstream.APIError
	if !errors.As(err, &api) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

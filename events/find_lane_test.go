package events_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/eventstest"
)

func TestNothingMayBePublishedToALaneThatNobodyServes(t *testing.T) {
	t.Parallel()
	both := jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended", bulkSubject}}
	for name, c := range map[string]struct {
		prepare func(*harness)
		missing string // what the error says; empty where there is the lane
	}{
		"both lanes":  {func(h *harness) { h.EnsureLanes(t) }, ""},
		"nothing":     {func(*harness) {}, "no consumer revoker-bulk"},
		"one lane":    {func(h *harness) { h.Create(t) }, "no consumer revoker-bulk"},
		"no consumer": {func(h *harness) { h.CreateStream(t, both) }, "no consumer revoker-bulk"},
		"the subject was taken out": {func(h *harness) {
			h.EnsureLanes(t)
			if _, err := h.JS.UpdateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}, Discard: jetstream.DiscardNew}); err != nil {
				t.Error(err)
			}
		}, "does not store session.ended.bulk"},
		"somebody else's consumer": {func(h *harness) {
			h.CreateStream(t, both)
			if _, err := h.JS.CreateConsumer(eventstest.Deadline(t), "SESSIONS", jetstream.ConsumerConfig{Durable: "revoker-bulk", FilterSubject: "session.ended"}); err != nil {
				t.Error(err)
			}
		}, "takes other events than session.ended.bulk"},
		"switched off": {func(h *harness) { h.Cfg.BulkSubject = "" }, "REVOKER_BULK_SUBJECT is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			c.prepare(h)
			err := events.FindLane(eventstest.Deadline(t), h.Conn, h.Cfg, config.Bulk, 0)
			switch {
			case c.missing == "" && err != nil:
				t.Error(err)
			case c.missing != "" && (!errors.Is(err, events.ErrNoLane) || !strings.Contains(err.Error(), c.missing)):
				t.Errorf("got %v, want %q", err, c.missing)
			}
			if err := events.FindLane(eventstest.Deadline(t), h.Conn, h.Cfg, config.Live, 0); err != nil {
				t.Errorf("the live lane: %v", err)
			}
		})
	}
}

// An account that may only publish uses the live lane, and is told so at once.
func TestAnAccountThatMayNotSeeTheLaneHasNone(t *testing.T) {
	t.Parallel()
	for denied, found := range map[string]bool{"$JS.API.CONSUMER.INFO.>": false, "$JS.API.STREAM.INFO.>": true} {
		t.Run(denied, func(t *testing.T) {
			t.Parallel()
			s := eventstest.Secured(t, &server.User{Username: "publisher", Password: "pw", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{denied}},
			}}, &server.User{Username: "worker", Password: "pw"})
			h := unconnected()
			h.Cfg.NATS = eventstest.As(s, "worker")
			h.Conn = h.Connect(t, true)
			h.EnsureLanes(t)
			h.Cfg.NATS = eventstest.As(s, "publisher")
			h.Conn = h.Connect(t, true)
			h.Connected(t)
			err := events.FindLane(eventstest.Deadline(t), h.Conn, h.Cfg, config.Bulk, 0)
			if found != (err == nil) || !found && !errors.Is(err, events.ErrNoLane) {
				t.Errorf("got %v", err)
			}
			if text := strings.Join(h.Log.Lines(), "\n"); strings.Contains(strings.ToLower(text), "permission") {
				t.Errorf("it logs\n%s", text)
			}
		})
	}
}

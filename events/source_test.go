package events_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/events/internal/eventstest"
)

func TestTheSourceOfAMessage(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"login": "login", "receive": "receive", "a-b_9": "a-b_9", strings.Repeat("a", 32): strings.Repeat("a", 32),
		"": "", "Login": "", "a b": "", "-a": "", strings.Repeat("a", 33): "", "a\"} 1\n": "",
	} {
		if have := events.Source(nats.Header{events.SourceHeader: {value}}); have != want {
			t.Errorf("%q: %q, want %q", value, have, want)
		}
	}
	if have := events.Source(nil); have != "" {
		t.Errorf("no header: %q", have)
	}
}

// A dead letter must say where its event came from, or a replay would lose it.
func TestADeadLetterKeepsItsSource(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, letters := h.Ensure(t)
	publisher := events.NewSignalPublisher(h.Conn, h.Cfg.Stream, h.Cfg.Subject)
	if _, err := publisher.Publish(eventstest.Deadline(t), events.Signal{Event: events.Event{SessionID: "a"}, Source: "login"}); err != nil {
		t.Fatal(err)
	}
	d := h.Next(t, consumer)
	if source := events.Source(d.Header()); source != "login" {
		t.Errorf("the worker sees %q", source)
	}
	if err := letters.Publish(eventstest.Deadline(t), d, events.Letter{Reason: events.ReasonCallerError, Error: "wrong"}); err != nil {
		t.Fatal(err)
	}
	if source := events.Source(h.Letter(t).Header); source != "login" {
		t.Errorf("the letter has %q", source)
	}
}

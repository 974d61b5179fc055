package events_test

import (
	"strings"
	"testing"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/eventstest"
)

func TestPublisherStoresAnEventOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	publisher := events.NewPublisher(h.Conn, h.Cfg.Subject)
	event := events.Event{SessionID: "abc"}
	if _, err := publisher.Publish(eventstest.Deadline(t), event); err == nil || !strings.Contains(err.Error(), "no stream answers for session.ended") {
		t.Errorf("without a stream: %v", err)
	}
	consumer, _ := h.Ensure(t)
	for _, want := range []bool{false, true} {
		if duplicate, err := publisher.Publish(eventstest.Deadline(t), event); err != nil || duplicate != want {
			t.Errorf("duplicate %v, %v; want %v", duplicate, err, want)
		}
	}
	if _, err := publisher.Publish(eventstest.Deadline(t), events.Event{SessionID: "a\nb"}); err == nil {
		t.Error("an invalid session ID was published")
	}
	d := h.Next(t, consumer)
	if id := d.Header().Get("Nats-Msg-Id"); id != event.MessageID(config.Live) || strings.Contains(id, "abc") {
		t.Errorf("message ID %q", id)
	}
	if info := h.Info(t); info.NumPending != 0 || info.NumAckPending != 1 {
		t.Errorf("%d waiting, %d unsettled", info.NumPending, info.NumAckPending)
	}
}

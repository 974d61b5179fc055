package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

func (h *harness) bulk(t *testing.T, ctx context.Context, retryFor time.Duration) *events.BulkPublisher {
	t.Helper()
	bulk, err := events.NewBulkPublisher(ctx, h.Conn, config.Bulk, h.Cfg.Stream, h.Cfg.Subject, retryFor)
	if err != nil {
		t.Fatal(err)
	}
	return bulk
}

// Reports come in the order of sending, say which events were there already, and miss none.
func TestBulkReportsInOrder(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	const n = 10_000 // more than a window
	for run, want := range []int{0, n} {
		bulk := h.bulk(t, t.Context(), time.Minute)
		events.Patient(bulk) // or one that is sent again counts as new
		next, duplicates := 0, 0
		for i := range n {
			if err := bulk.Publish(events.Event{SessionID: events.SessionID(fmt.Sprint("session-", i))}, func(duplicate bool, err error) {
				if err != nil || i != next {
					t.Errorf("event %d, want %d: %v", i, next, err)
				}
				next++
				if duplicate {
					duplicates++
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := bulk.Close(); err != nil || next != n || duplicates != want {
			t.Errorf("run %d: %v, %d reports, %d duplicates", run, err, next, duplicates)
		}
	}
}

// What the stream refuses for a time is stored when it no longer does; what it refuses for its size stops nothing.
func TestBulkSendsAgain(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	limits := func(most int64) {
		cfg := jetstream.StreamConfig{Name: h.Cfg.Stream, Subjects: []string{h.Cfg.Subject}, Discard: jetstream.DiscardNew, MaxMsgs: most, MaxMsgSize: 2000, MaxAge: 7 * 24 * time.Hour, Duplicates: 2 * time.Minute}
		if _, err := h.JS.UpdateStream(eventstest.Deadline(t), cfg); err != nil {
			t.Fatal(err)
		}
	}
	limits(2)
	bulk := h.bulk(t, t.Context(), eventstest.Timeout)
	events.Patient(bulk)
	stored, tooLarge := 0, 0
	for i := range 5 {
		event := events.Event{SessionID: events.SessionID(fmt.Sprint("session-", i))}
		if i == 1 {
			event.Reason = strings.Repeat("r", 2000)
		}
		if err := bulk.Publish(event, func(_ bool, err error) {
			switch {
			case err == nil:
				stored++
			case errors.Is(err, events.ErrTooLarge):
				tooLarge++
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	testproc.WaitFor(t, "word of the full stream", func() bool {
		return strings.Contains(strings.Join(h.Log.Lines(), "\n"), "maximum messages exceeded")
	})
	limits(10)
	if err := bulk.Close(); err != nil || stored != 4 || tooLarge != 1 {
		t.Errorf("%v, %d stored, %d too large", err, stored, tooLarge)
	}
}

// What is stored and not confirmed is sent again, until it is confirmed.
func TestBulkWithoutConfirmations(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	silent := func(noAck bool) {
		cfg := jetstream.StreamConfig{Name: h.Cfg.Stream, Subjects: []string{h.Cfg.Subject}, NoAck: noAck, MaxAge: 7 * 24 * time.Hour, Duplicates: 2 * time.Minute}
		if _, err := h.JS.UpdateStream(eventstest.Deadline(t), cfg); err != nil {
			t.Fatal(err)
		}
	}
	bulk := h.bulk(t, t.Context(), eventstest.Timeout)
	reported := make(chan bool, 10)
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			event := events.Event{SessionID: events.SessionID(fmt.Sprint("session-", i))}
			if err := bulk.Publish(event, func(duplicate bool, err error) { reported <- !duplicate && err == nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(0, 1)
	if !<-reported {
		t.Error("the first was not stored")
	}
	silent(true)
	publish(1, 4)
	testproc.WaitFor(t, "word of the silence", func() bool { return strings.Contains(strings.Join(h.Log.Lines(), "\n"), "sending it again") })
	silent(false)
	publish(4, 5)
	if err := bulk.Close(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if !<-reported {
			t.Error("an event is reported as not stored, or as one that was there before")
		}
	}
	info, err := h.JS.Stream(eventstest.Deadline(t), h.Cfg.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if n := info.CachedInfo().State.Msgs; n != 5 {
		t.Errorf("%d events are stored", n)
	}
}

// A subject that becomes another stream's in mid-run ends the run.
func TestBulkWhoseSubjectMoves(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	bulk := h.bulk(t, t.Context(), time.Hour)
	events.Patient(bulk)
	reported := make(chan error, 2)
	publish := func(id events.SessionID) error {
		return bulk.Publish(events.Event{SessionID: id}, func(_ bool, err error) { reported <- err })
	}
	if err := errors.Join(publish("one"), <-reported); err != nil {
		t.Fatal(err)
	}
	if err := h.JS.DeleteStream(eventstest.Deadline(t), h.Cfg.Stream); err != nil {
		t.Fatal(err)
	}
	if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{h.Cfg.Subject}}); err != nil {
		t.Fatal(err)
	}
	if err := publish("two"); err != nil {
		t.Fatal(err)
	}
	if err := bulk.Close(); err == nil || !strings.Contains(err.Error(), "is stored by another stream than "+h.Cfg.Stream) || <-reported == nil {
		t.Errorf("got %v", err)
	}
}

// After an interruption nothing is sent again, and what failed is reported.
func TestBulkInterrupted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	ctx, cancel := context.WithCancel(t.Context())
	bulk := h.bulk(t, ctx, time.Hour)
	events.Patient(bulk)
	confirmed, failed := make(chan bool, 1), make(chan error, 1)
	if err := bulk.Publish(events.Event{SessionID: "one"}, func(_ bool, err error) { confirmed <- err == nil }); err != nil {
		t.Fatal(err)
	}
	if !<-confirmed {
		t.Error("the first was not stored")
	}
	if err := h.JS.DeleteStream(eventstest.Deadline(t), h.Cfg.Stream); err != nil {
		t.Fatal(err)
	}
	if err := bulk.Publish(events.Event{SessionID: "two"}, func(_ bool, err error) { failed <- err }); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "a second attempt", func() bool { return strings.Contains(strings.Join(h.Log.Lines(), "\n"), "sending it again") })
	cancel()
	if err := <-failed; err == nil {
		t.Error("the second was stored without a stream")
	}
	if err := bulk.Publish(events.Event{SessionID: "three"}, func(bool, error) { t.Error("sent after a failure") }); err == nil {
		t.Error("no error after a failure")
	}
	if err := bulk.Close(); err == nil {
		t.Error("no error at the end")
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		event events.Event
		want  string
	}{
		{events.Event{SessionID: "a"}, `{"sessionId":"a"}`},
		{events.Event{SessionID: "a", ServiceID: "7", EndedAt: at, Reason: "r"}, `{"sessionId":"a","serviceId":"7","endedAt":"2026-05-04T02:02:01Z","reason":"r"}`},
		{events.Event{SessionID: `q"\`, Reason: "ü\n"}, `{"sessionId":"q\"\\","reason":"ü\n"}`},
	} {
		if got := string(c.event.Encode()); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
		back, err := events.Decode(nil, c.event.Encode())
		if err != nil || back.SessionID != c.event.SessionID || back.Reason != c.event.Reason || !back.EndedAt.Equal(c.event.EndedAt) {
			t.Errorf("%s reads as %+v, %v", c.want, back, err)
		}
	}
}

// An account that may not ask whether there is a stream waits for an election all the same, and nothing of that is logged as a
// fault.
func TestBulkOfAnAccountThatMayNotAsk(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "publisher", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{"session.ended"}},
	}})
	h := unconnected()
	h.Cfg.NATS = eventstest.As(s, "publisher")
	h.Conn = h.Connect(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	bulk := h.bulk(t, ctx, time.Hour)
	events.Patient(bulk)
	failed := make(chan error, 1)
	if err := bulk.Publish(events.Event{SessionID: "one"}, func(_ bool, err error) { failed <- err }); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "a second attempt", func() bool { return strings.Contains(strings.Join(h.Log.Lines(), "\n"), "sending it again") })
	cancel()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "no stream answers for session.ended") {
		t.Errorf("got %v", err)
	}
	_ = bulk.Close()
	if text := strings.Join(h.Log.Lines(), "\n"); strings.Contains(text, "NATS reported an error") {
		t.Errorf("it says\n%s", text)
	}
}

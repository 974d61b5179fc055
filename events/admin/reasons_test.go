package admin_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"revoker/events"
	"revoker/events/admin"
	"revoker/events/dlq"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

// A count goes on from the last one when letters came and none went, so that watching a drain does not slow it.
func TestLettersThatCameAreAddedToTheCount(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	store, err := dlq.OpenLetters(eventstest.Deadline(t), h.Conn, h.Cfg)
	if err != nil {
		t.Fatal(err)
	}
	const most, more = 10_000, 5
	for i := range most {
		if i%1000 == 0 {
			<-h.JS.PublishAsyncComplete() // it does not take them all at once
		}
		if _, err := h.JS.PublishAsync(h.Cfg.DeadLetterSubject, []byte(`{"sessionId":"x"}`)); err != nil {
			t.Fatal(err)
		}
	}
	<-h.JS.PublishAsyncComplete()
	reader := admin.NewStatusReader(h.Conn, h.Cfg)
	counted := func() (count admin.DeadLetterCount) {
		testproc.WaitFor(t, "whole count", func() bool { // a status takes 15 s at most, and names what it did not see by then
			status, err := reader.Read(eventstest.Deadline(t))
			if err != nil || status.DeadLetters == nil {
				t.Fatalf("%+v, %v", status, err)
			}
			count = *status.DeadLetters
			return len(status.Unknown) == 0
		})
		return count
	}
	if c := counted(); c.Counted != most || c.Total != most || c.FirstSequence != 1 || c.LastSequence != most {
		t.Errorf("%+v", c)
	}
	for range more {
		h.Bury(t, map[string][]string{"Revoker-Reason": {events.ReasonInvalidEvent}}, "x")
	}
	if c := counted(); c.Counted != most+more || c.Reasons[events.ReasonInvalidEvent] != more || c.LastSequence != most+more {
		t.Errorf("after %d more: %+v", more, c)
	}
	letter, err := store.Get(eventstest.Deadline(t), most+1)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(eventstest.Deadline(t), letter); err != nil {
		t.Fatal(err)
	}
	if c := counted(); c.Reasons[events.ReasonInvalidEvent] != more-1 || c.Total != most+more-1 {
		t.Errorf("after one went: %+v", c)
	}
}

// An account that may not read letters is told how many there are. It does not try again to read them, since each try takes seconds.
func TestLettersThatMayNotBeReadAreTriedOnce(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.CREATE.SESSIONS_DLQ.>"}},
	}})
	h := unconnected()
	h.Cfg.NATS = eventstest.As(s, "worker")
	h.Conn = h.Connect(t, true)
	h.Ensure(t)
	if _, err := h.Conn.NC().RequestWithContext(eventstest.Deadline(t), h.Cfg.DeadLetterSubject, nil); err != nil {
		t.Fatal(err)
	}
	reader := admin.NewStatusReader(h.Conn, h.Cfg)
	sent := func() uint64 {
		before := h.Conn.NC().Stats().OutMsgs
		status, err := reader.Read(eventstest.Deadline(t))
		if err != nil || status.DeadLetters == nil || status.DeadLetters.Total != 1 || !strings.Contains(strings.Join(status.Unknown, "\n"), "dead letters: ") {
			t.Fatalf("%+v, %v", status, err)
		}
		return h.Conn.NC().Stats().OutMsgs - before
	}
	if first, second := sent(), sent(); second >= first {
		t.Errorf("%d requests, then %d: it tries again", first, second)
	}
}

package admin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"revoker/events/admin"
	"revoker/events/dlq"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

// Anybody may have published to the dead-letter subject: what is no reason of revoker's does not become one.
func TestStatusCountsForeignDeadLetters(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	for i, reason := range []string{"CALLER_ERROR", "CALLER_ERROR", "INVALID_EVENT", "\x1b[2J", "", "404"} {
		msg := &nats.Msg{Subject: "dlq.session.ended", Header: nats.Header{"Revoker-Reason": {reason}, "Status": {"404"}}}
		if seq := h.Publish(t, msg); seq != uint64(i+1) {
			t.Fatalf("sequence %d", seq)
		}
	}
	reader := admin.NewStatusReader(h.Conn, h.Cfg)
	for range 2 { // the second time nothing has changed
		status, err := reader.Read(eventstest.Deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		letters := status.DeadLetters
		if letters.Total != 6 || letters.Counted != 6 || letters.Reasons["CALLER_ERROR"] != 2 || letters.Reasons["INVALID_EVENT"] != 1 ||
			letters.Reasons[dlq.OtherGroups] != 3 {
			t.Errorf("%+v", letters)
		}
	}
	h.Publish(t, &nats.Msg{Subject: "dlq.session.ended", Header: nats.Header{"Revoker-Reason": {"CALLER_ERROR"}}})
	if status, err := reader.Read(eventstest.Deadline(t)); err != nil || status.DeadLetters.Reasons["CALLER_ERROR"] != 3 {
		t.Errorf("%v %+v", err, status.DeadLetters)
	}
}

// The oldest letter is known to whoever reads the status and to a worker, and is another one once it is gone.
func TestTheOldestDeadLetterIsKnown(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	reader := admin.NewStatusReader(h.Conn, h.Cfg)
	oldest := func() [2]*time.Time {
		t.Helper()
		status, err := reader.Read(eventstest.Deadline(t))
		queue, queueErr := reader.ReadQueue(eventstest.Deadline(t))
		if err = errors.Join(err, queueErr); err != nil {
			t.Fatal(err)
		}
		return [2]*time.Time{status.DeadLetters.Oldest, queue.DeadLetters.Oldest}
	}
	if got := oldest(); got[0] != nil || got[1] != nil {
		t.Errorf("without a letter: %v", got)
	}
	h.Bury(t, nil, "{}")
	h.Bury(t, nil, "{}")
	stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS_DLQ")
	if err != nil {
		t.Fatal(err)
	}
	for sequence := uint64(1); sequence <= 2; sequence++ {
		letter, err := stream.GetMsg(eventstest.Deadline(t), sequence)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range oldest() {
			if got == nil || !got.Equal(letter.Time) {
				t.Errorf("the oldest is of %v, want %v", got, letter.Time)
			}
		}
		if err := stream.DeleteMsg(eventstest.Deadline(t), sequence); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever reads dead letters, `revoker status` for one, leaves no consumer behind. An account that may not delete it is not
// warned of that.
func TestReadingLeavesNoConsumer(t *testing.T) {
	t.Parallel()
	for name, deny := range map[string][]string{"allowed": nil, "denied": {"$JS.API.CONSUMER.DELETE.>"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := eventstest.Secured(t, &server.User{Username: "operator", Password: "pw", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: deny}}},
				&server.User{Username: "test", Password: "pw"})
			h := unconnected()
			h.Cfg.NATS = eventstest.As(s, "operator")
			h.Conn = h.Connect(t, true)
			h.Connected(t)
			h.Dial(t, s.ClientURL(), nats.UserInfo("test", "pw"))
			h.Ensure(t)
			h.Bury(t, nil, "{}")
			deletions, err := h.NC.SubscribeSync("$JS.API.CONSUMER.DELETE.SESSIONS_DLQ.*")
			if err = errors.Join(err, h.NC.Flush()); err != nil {
				t.Fatal(err)
			}
			before := len(h.Log.Lines())
			if got, err := admin.NewStatusReader(h.Conn, h.Cfg).Read(eventstest.Deadline(t)); err != nil || got.DeadLetters.Counted != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			if err := h.Conn.Flush(eventstest.Timeout); err != nil {
				t.Fatal(err)
			}
			if deny != nil {
				if said := h.Log.Lines()[before:]; len(said) != 0 {
					t.Errorf("it says %q", said)
				}
				return
			}
			if _, err := deletions.NextMsg(eventstest.Timeout); err != nil {
				t.Error("nobody deletes the consumer")
			}
			testproc.WaitFor(t, "end of the consumer", func() bool {
				stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS_DLQ")
				return err == nil && stream.CachedInfo().State.Consumers == 0
			})
		})
	}
}

// "0 dead letters" would hide that none can be stored.
func TestAMissingDeadLetterStreamIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	if err := h.JS.DeleteStream(eventstest.Deadline(t), h.Cfg.DeadLetterStream); err != nil {
		t.Fatal(err)
	}
	reader := admin.NewStatusReader(h.Conn, h.Cfg)
	for name, read := range map[string]func(context.Context) (admin.Status, error){"status": reader.Read, "a worker": reader.ReadQueue} {
		status, err := read(eventstest.Deadline(t))
		if unknown := strings.Join(status.Unknown, " "); err != nil || status.DeadLetters != nil || !strings.Contains(unknown, "dead letters: there is no stream SESSIONS_DLQ") ||
			!strings.Contains(unknown, "REVOKER_DEAD_LETTER_STREAM") {
			t.Errorf("%s: %v, %+v", name, err, status)
		}
	}
}

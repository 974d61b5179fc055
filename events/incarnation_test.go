package events_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/internal/testport"
	"revoker/internal/testproc"
)

var settlements = map[string]func(*events.Delivery){
	"acknowledged": (*events.Delivery).Ack,
	"terminated":   func(d *events.Delivery) { d.Term("SOME_REASON") },
	"handed back":  func(d *events.Delivery) { d.Nak(0) },
	"in progress":  (*events.Delivery).InProgress,
}

// The new event has the sequence of the one whose call is in flight, and is in work at another worker, which will hand it back.
func TestAStreamThatIsRecreatedDuringACallLosesNothing(t *testing.T) {
	t.Parallel()
	for name, settle := range settlements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			consumer, _ := h.Ensure(t)
			h.Publish(t, &nats.Msg{Data: []byte("old")})
			old := h.Next(t, consumer)
			h.Recreate(t)
			theirs := h.Another(t)
			testproc.WaitFor(t, "report of the deletion", func() bool { return events.Ended(consumer) })
			settle(old)
			h.StillQueued(t, theirs)
			d := h.NextRestored(t, consumer)
			if string(d.Payload()) != "new" {
				t.Errorf("got %q, want the new event", d.Payload())
			}
			d.Ack()
			testproc.WaitFor(t, "settlement of the new event", func() bool { return h.Info(t).NumAckPending == 0 })
			if text := strings.Join(h.Log.Lines(), "\n"); strings.Count(text, "are not settled") != 1 {
				t.Errorf("the log does not say once that events in hand were not settled:\n%s", text)
			}
		})
	}
}

// The events are the same, but their settlement belongs to the consumer that delivered them.
func TestAConsumerThatIsRecreatedDuringACallLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, _ := h.Ensure(t)
	h.Publish(t, &nats.Msg{Data: []byte("x")})
	old := h.Next(t, consumer)
	if err := h.JS.DeleteConsumer(eventstest.Deadline(t), h.Cfg.Stream, h.Cfg.Consumer); err != nil {
		t.Fatal(err)
	}
	h.CreateConsumer(t)
	theirs := h.Another(t)
	testproc.WaitFor(t, "report of the deletion", func() bool { return events.Ended(consumer) })
	old.Ack()
	h.StillQueued(t, theirs)
	d := h.NextRestored(t, consumer)
	d.Ack()
	testproc.WaitFor(t, "settlement by the new consumer", func() bool { return h.Info(t).NumAckPending == 0 })
}

// The acknowledgement is put while the connection is cut, and a server without the stream's data comes back.
func TestAServerThatComesBackEmptyLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, _ := h.Ensure(t)
	h.Publish(t, &nats.Msg{Data: []byte("old")})
	old := h.Next(t, consumer)
	port := h.Port(t)
	h.Server.Shutdown()
	testproc.WaitFor(t, "disconnection", func() bool { return !h.Conn.Connected() && !h.NC.IsConnected() })
	old.Ack()
	h.Start(t, port, t.TempDir())
	h.Create(t)
	h.Publish(t, &nats.Msg{Data: []byte("new")})
	theirs := h.Another(t)
	testproc.WaitFor(t, "reconnection", h.Conn.Connected)
	h.StillQueued(t, theirs)
}

// What a reconnect leaves as it was is settled.
func TestAcknowledgementsOutliveAReconnect(t *testing.T) {
	t.Parallel()
	h, folder := unconnected(), t.TempDir()
	h.Start(t, testport.Free(t), folder)
	h.Cfg.NATS.URL = config.NewServerURLs(h.Server.URL())
	h.Conn = h.Connect(t, true)
	consumer, _ := h.Ensure(t)
	h.Publish(t, &nats.Msg{Data: []byte("x")})
	d := h.Next(t, consumer)
	port := h.Port(t)
	h.Server.Shutdown()
	testproc.WaitFor(t, "disconnection", func() bool { return !h.Conn.Connected() })
	d.Ack()
	h.Start(t, port, folder)
	testproc.WaitFor(t, "settlement", func() bool { return h.Info(t).NumAckPending == 0 })
}

// Somebody restored the stream from a backup, or the server lost its last state: the consumer counts anew.
func TestAConsumerWhoseNumbersGoBackwardsIsAnother(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Cfg.AckWait = time.Second
	consumer, _ := h.Ensure(t)
	events.Deafen(consumer)
	h.Publish(t, &nats.Msg{Data: []byte("old")})
	old := h.Next(t, consumer)
	h.Recreate(t)
	var err error
	testproc.WaitFor(t, "end of a pull", func() bool {
		_, err = consumer.Pull(1, time.Second, func(d *events.Delivery) { t.Errorf("%q was handed on", d.Payload()) })
		return !eventstest.Silent(err)
	})
	if err == nil || !strings.Contains(err.Error(), "set back") {
		t.Fatalf("the pull ended with %v", err)
	}
	testproc.WaitFor(t, "redelivery", func() bool { return h.Info(t).NumAckPending == 1 })
	old.Ack()
	if err := h.Conn.Flush(eventstest.Timeout); err != nil {
		t.Error(err)
	}
	if d := h.NextRestored(t, consumer); string(d.Payload()) != "new" {
		t.Errorf("got %q, want the new event, which comes again after the ack wait", d.Payload())
	}
}

// An account that may not hear of deletions works, and logs nothing that looks like a fault.
func TestAdvisoriesAreNotNeeded(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}})
	h := unconnected()
	h.Cfg.NATS = eventstest.As(s, "worker")
	h.Conn = h.Connect(t, true)
	h.Dial(t, s.ClientURL(), nats.UserInfo("worker", "pw"))
	consumer, _ := h.Ensure(t)
	h.Publish(t, &nats.Msg{Data: []byte("x")})
	h.Next(t, consumer).Ack()
	testproc.WaitFor(t, "settlement", func() bool { return h.Info(t).NumAckPending == 0 })
	for _, line := range h.Log.Lines() {
		if strings.Contains(strings.ToLower(line), "violation") {
			t.Errorf("logged: %s", line)
		}
	}
}

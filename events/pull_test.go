package events_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

func TestPullBringsWhatIsAskedForAndNoMore(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.KeepInHand()
	consumer, _ := h.Ensure(t)
	for i := range 10 {
		h.Publish(t, &nats.Msg{Data: fmt.Appendf(nil, "%d", i)})
	}
	var got []*events.Delivery
	keep := func(d *events.Delivery) { got = append(got, d) }
	// It ends as soon as there are enough.
	if n, err := consumer.Pull(4, eventstest.Timeout, keep); err != nil || n != 4 {
		t.Fatalf("Pull(4) = %d, %v", n, err)
	}
	if n := h.Info(t).NumAckPending; n != 4 {
		t.Errorf("%d unacknowledged, want the 4 that were asked for", n)
	}
	// A pull that is over before all came, on a machine that pauses, leaves the rest to the next one.
	for _, pull := range []struct{ n, all int }{{100, 10}, {1, 10}} {
		testproc.WaitFor(t, fmt.Sprintf("%d deliveries", pull.all), func() bool {
			n, err := consumer.Pull(pull.n, 200*time.Millisecond, keep)
			if err != nil && !eventstest.Silent(err) || n > pull.n || len(got) > pull.all {
				t.Fatalf("Pull(%d) = %d, %v; %d in all", pull.n, n, err, len(got))
			}
			return len(got) == pull.all
		})
	}
	for i, d := range got {
		if string(d.Payload()) != fmt.Sprint(i) || d.Sequence != uint64(i+1) || d.Deliveries != 1 || d.Stream != "SESSIONS" || d.Consumer != "revoker" {
			t.Errorf("delivery %d: %+v", i, d)
		}
		if age := time.Since(d.Published); age < 0 || age > eventstest.Timeout {
			t.Errorf("delivery %d was published %s ago", i, age)
		}
	}
	if n := h.Info(t).NumAckPending; n != 10 {
		t.Errorf("%d unacknowledged, want all 10", n)
	}
}

func TestSettlementsReachTheServer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.KeepInHand()
	consumer, _ := h.Ensure(t)
	advisories, err := h.NC.SubscribeSync("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		h.Publish(t, &nats.Msg{Data: []byte("x")})
	}
	acked, naked, termed := h.Next(t, consumer), h.Next(t, consumer), h.Next(t, consumer)
	acked.Ack()
	naked.Nak(time.Minute)
	termed.Term("SOME_REASON")
	testproc.WaitFor(t, "settlement", func() bool { return h.Info(t).NumAckPending == 1 })
	advisory, err := advisories.NextMsg(eventstest.Timeout)
	if err != nil || !strings.Contains(string(advisory.Data), "SOME_REASON") {
		t.Errorf("advisory %v, %v; want the reason in it", advisory, err)
	}
	naked.Nak(0) // again, and at once
	if d := h.Next(t, consumer); d.Sequence != naked.Sequence || d.Deliveries != 2 {
		t.Errorf("got sequence %d, delivery %d", d.Sequence, d.Deliveries)
	}
}

func TestInProgressStartsTheAckWaitAnew(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Cfg.AckWait = time.Second
	consumer, _ := h.Ensure(t)
	h.Publish(t, &nats.Msg{Data: []byte("x")})
	var d *events.Delivery
	// A machine that pauses renews too late, so that the event comes again. Then it begins anew.
	testproc.WaitFor(t, "event that stays in progress for longer than two ack waits", func() bool {
		d = h.Next(t, consumer)
		for range 12 {
			d.InProgress()
			// A pull that waits is served as soon as the ack wait is over.
			n, err := consumer.Pull(1, 200*time.Millisecond, func(*events.Delivery) {})
			if err != nil && !eventstest.Silent(err) {
				t.Fatal(err)
			}
			if n > 0 {
				return false
			}
		}
		return true
	})
	if again := h.Next(t, consumer); again.Sequence != d.Sequence || again.Deliveries != d.Deliveries+1 {
		t.Errorf("delivery %d, want one more than %d once the renewing has stopped", again.Deliveries, d.Deliveries)
	}
}

// nats.go's own Fetch takes such an event for the server's word, ends, and never hands it on.
func TestAnEventThatImitatesAStatusIsDelivered(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, _ := h.Ensure(t)
	for _, status := range []string{"404", "408", "409", "503"} {
		h.Publish(t, &nats.Msg{Header: nats.Header{"Status": {status}, "Description": {"Consumer Deleted"}}})
		d := h.Next(t, consumer)
		if d.Header().Get("Status") != status || len(d.Payload()) != 0 {
			t.Errorf("got %v", d.Header())
		}
		d.Ack()
	}
}

func TestPullSaysWhenItIsNotServed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, _ := h.Ensure(t)
	none := func(*events.Delivery) { t.Error("a delivery came") }
	stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := consumer.Pull(1, time.Minute, none)
		ended <- err
	}()
	testproc.WaitFor(t, "waiting pull", func() bool { return h.Info(t).NumWaiting == 1 })
	if err := stream.DeleteConsumer(eventstest.Deadline(t), "revoker"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, events.ErrPull) || !strings.Contains(err.Error(), "Consumer Deleted") {
		t.Errorf("a pull in progress: %v", err)
	}
	if _, err := consumer.Pull(1, time.Second, none); !errors.Is(err, events.ErrPull) {
		t.Errorf("no consumer: %v", err)
	}
	h.Server.Shutdown()
	testproc.WaitFor(t, "disconnection", func() bool { return !h.Conn.Connected() })
	if _, err := consumer.Pull(1, time.Second, none); !errors.Is(err, events.ErrPull) || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("no server: %v", err)
	}
}

func TestPullKeepsToTheConsumersLimits(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.JS.CreateConsumer(eventstest.Deadline(t), "SESSIONS", jetstream.ConsumerConfig{
		Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1, MaxRequestBatch: 2, MaxRequestExpires: 100 * time.Millisecond,
	}); err != nil {
		t.Fatal(err)
	}
	consumer, _ := h.Ensure(t)
	for range 3 {
		h.Publish(t, &nats.Msg{Data: []byte("x")})
	}
	// The server would refuse a larger pull. One that is over before its two came leaves them to the next.
	all := 0
	testproc.WaitFor(t, "three deliveries, and then none", func() bool {
		got, err := consumer.Pull(64, time.Second, func(*events.Delivery) {})
		if err != nil && !eventstest.Silent(err) || got > 2 {
			t.Fatalf("got %d, %v; want at most 2", got, err)
		}
		all += got
		return all == 3 && got == 0
	})
}

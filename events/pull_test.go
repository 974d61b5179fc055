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
	consumer, _ := h.Ensure(t)
	for i := range 10 {
		h.Publish(t, &nats.Msg{Data: fmt.Appendf(nil, "%d", i)})
	}
	var got []*events.Delivery
	keep := func(d *events.Delivery) { got = append(got, d) }
	for _, pull := range []struct{ n, want int }{{4, 4}, {100, 6}, {1, 0}} {
		if n, err := consumer.Pull(pull.n, 200*time.Millisecond, keep); err != nil || n != pull.want {
			t.Fatalf("Pull(%d) = %d, %v; want %d", pull.n, n, err, pull.want)
		}
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
		t.Errorf("%d unacknowledged, want the 10 that were asked for", n)
	}
}

func TestSettlementsReachTheServer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
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
	d := h.Next(t, consumer)
	renewing := time.NewTicker(200 * time.Millisecond)
	defer renewing.Stop()
	for range 12 { // longer than two ack waits
		<-renewing.C
		d.InProgress()
	}
	if n := h.Info(t).NumRedelivered; n != 0 {
		t.Errorf("%d redelivered although in progress", n)
	}
	if d = h.Next(t, consumer); d.Deliveries != 2 {
		t.Errorf("delivery %d, want a second one once the renewing has stopped", d.Deliveries)
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
		_, err := consumer.Pull(1, 10*time.Second, none)
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
	for _, want := range []int{2, 1, 0} {
		if got, err := consumer.Pull(64, time.Second, func(*events.Delivery) {}); err != nil || got != want {
			t.Errorf("got %d, %v; want %d", got, err, want)
		}
	}
}

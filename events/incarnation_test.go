package events_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/embedded"
)

// recreated deletes the stream and creates it anew, with its consumer and one new event of sequence 1.
func (h *harness) recreated(t *testing.T) {
	t.Helper()
	if err := h.js.DeleteStream(deadline(t), h.cfg.Stream); err != nil {
		t.Fatal(err)
	}
	h.created(t)
	h.publish(t, &nats.Msg{Data: []byte("new")})
}

func (h *harness) created(t *testing.T) {
	t.Helper()
	if _, err := h.js.CreateStream(deadline(t), jetstream.StreamConfig{Name: h.cfg.Stream, Subjects: []string{h.cfg.Subject}}); err != nil {
		t.Fatal(err)
	}
	h.createdConsumer(t)
}

func (h *harness) createdConsumer(t *testing.T) {
	t.Helper()
	if _, err := h.js.CreateConsumer(deadline(t), h.cfg.Stream, jetstream.ConsumerConfig{
		Durable: h.cfg.Consumer, AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: h.cfg.Subject, MaxDeliver: -1, AckWait: h.cfg.AckWait,
	}); err != nil {
		t.Fatal(err)
	}
}

// another worker takes the next event and has its call in flight.
func (h *harness) another(t *testing.T) jetstream.Msg {
	t.Helper()
	consumer, err := h.js.Consumer(deadline(t), h.cfg.Stream, h.cfg.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next(jetstream.FetchMaxWait(testTimeout))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// stillQueued fails if the event that another worker has in hand was settled by anyone. That one hands it back: the server
// ignores that for an event that is settled, and handles one after the other what it is told of a consumer's events.
func (h *harness) stillQueued(t *testing.T, theirs jetstream.Msg) {
	t.Helper()
	if err := h.conn.Flush(testTimeout); err != nil {
		t.Error(err)
	}
	if err := theirs.Nak(); err != nil {
		t.Fatal(err)
	}
	again := h.another(t)
	if meta, err := again.Metadata(); err != nil || meta.NumDelivered != 2 || string(again.Data()) != string(theirs.Data()) {
		t.Errorf("got %q, %+v, %v; want the second delivery of %q", again.Data(), meta, err, theirs.Data())
	}
	if err := again.Nak(); err != nil {
		t.Fatal(err)
	}
}

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
			consumer, _ := h.setup(t)
			h.publish(t, &nats.Msg{Data: []byte("old")})
			old := h.next(t, consumer)
			h.recreated(t)
			theirs := h.another(t)
			waitFor(t, "report of the deletion", func() bool { return events.Ended(consumer) })
			settle(old)
			h.stillQueued(t, theirs)
			d := h.nextRestored(t, consumer)
			if string(d.Payload()) != "new" {
				t.Errorf("got %q, want the new event", d.Payload())
			}
			d.Ack()
			waitFor(t, "settlement of the new event", func() bool { return h.info(t).NumAckPending == 0 })
			if text := strings.Join(h.log.all(), "\n"); strings.Count(text, "are not settled") != 1 {
				t.Errorf("the log does not say once that events in hand were not settled:\n%s", text)
			}
		})
	}
}

// nextRestored pulls one delivery as a worker does, which restores a pull that is not served.
func (h *harness) nextRestored(t *testing.T, consumer *events.Consumer) (d *events.Delivery) {
	t.Helper()
	waitFor(t, "a delivery", func() bool {
		_, err := consumer.Pull(1, time.Second, func(got *events.Delivery) { d = got })
		if err != nil {
			if err := consumer.Restore(deadline(t)); err != nil {
				t.Fatal(err)
			}
		}
		return d != nil
	})
	return d
}

// The events are the same, but their settlement belongs to the consumer that delivered them.
func TestAConsumerThatIsRecreatedDuringACallLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, _ := h.setup(t)
	h.publish(t, &nats.Msg{Data: []byte("x")})
	old := h.next(t, consumer)
	if err := h.js.DeleteConsumer(deadline(t), h.cfg.Stream, h.cfg.Consumer); err != nil {
		t.Fatal(err)
	}
	h.createdConsumer(t)
	theirs := h.another(t)
	waitFor(t, "report of the deletion", func() bool { return events.Ended(consumer) })
	old.Ack()
	h.stillQueued(t, theirs)
	d := h.nextRestored(t, consumer)
	d.Ack()
	waitFor(t, "settlement by the new consumer", func() bool { return h.info(t).NumAckPending == 0 })
}

// An account that does not hear of deletions finds out by asking.
func TestARecreatedStreamIsNoticedWithoutAdvisories(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, _ := h.setup(t)
	events.Deafen(consumer)
	h.publish(t, &nats.Msg{Data: []byte("old")})
	old := h.next(t, consumer)
	h.recreated(t)
	theirs := h.another(t)
	events.Unconfirm(consumer)
	old.Ack()
	h.stillQueued(t, theirs)
}

// The acknowledgement is put while the connection is cut, and a server without the stream's data comes back.
func TestAServerThatComesBackEmptyLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, _ := h.setup(t)
	h.publish(t, &nats.Msg{Data: []byte("old")})
	old := h.next(t, consumer)
	port := h.port(t)
	h.server.Shutdown()
	waitFor(t, "disconnection", func() bool { return !h.conn.Connected() && !h.nc.IsConnected() })
	old.Ack()
	h.start(t, port, t.TempDir())
	h.created(t)
	h.publish(t, &nats.Msg{Data: []byte("new")})
	theirs := h.another(t)
	waitFor(t, "reconnection", h.conn.Connected)
	h.stillQueued(t, theirs)
}

// What a reconnect leaves as it was is settled.
func TestAcknowledgementsOutliveAReconnect(t *testing.T) {
	t.Parallel()
	h, folder := &harness{cfg: config.Default(), log: &recorder{}}, t.TempDir()
	h.start(t, embedded.RandomPort, folder)
	h.cfg.NATS.URL = config.NewServerURLs(h.server.URL())
	h.conn = h.connect(t, true)
	consumer, _ := h.setup(t)
	h.publish(t, &nats.Msg{Data: []byte("x")})
	d := h.next(t, consumer)
	port := h.port(t)
	h.server.Shutdown()
	waitFor(t, "disconnection", func() bool { return !h.conn.Connected() })
	d.Ack()
	h.start(t, port, folder)
	waitFor(t, "settlement", func() bool { return h.info(t).NumAckPending == 0 })
}

// start starts the server, with a connection of the test's own.
func (h *harness) start(t *testing.T, port int, folder string) {
	t.Helper()
	var err error
	if h.server, err = embedded.Start(port, folder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.server.Shutdown)
	h.dial(t, h.server.URL())
}

func (h *harness) dial(t *testing.T, url string, options ...nats.Option) {
	t.Helper()
	var err error
	if h.nc, err = nats.Connect(url, options...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.nc.Close)
	if h.js, err = jetstream.New(h.nc); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) port(t *testing.T) int {
	t.Helper()
	port, err := strconv.Atoi(h.server.URL()[strings.LastIndex(h.server.URL(), ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Somebody restored the stream from a backup, or the server lost its last state: the consumer counts anew.
func TestAConsumerWhoseNumbersGoBackwardsIsAnother(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.cfg.AckWait = time.Second
	consumer, _ := h.setup(t)
	events.Deafen(consumer)
	h.publish(t, &nats.Msg{Data: []byte("old")})
	old := h.next(t, consumer)
	h.recreated(t)
	_, err := consumer.Pull(1, time.Second, func(d *events.Delivery) { t.Errorf("%q was handed on", d.Payload()) })
	if err == nil || !strings.Contains(err.Error(), "set back") {
		t.Fatalf("the pull ended with %v", err)
	}
	waitFor(t, "redelivery", func() bool { return h.info(t).NumAckPending == 1 })
	old.Ack()
	if err := h.conn.Flush(testTimeout); err != nil {
		t.Error(err)
	}
	if d := h.nextRestored(t, consumer); string(d.Payload()) != "new" {
		t.Errorf("got %q, want the new event, which comes again after the ack wait", d.Payload())
	}
}

// An account that may not hear of deletions works, and logs nothing that looks like a fault.
func TestAdvisoriesAreNotNeeded(t *testing.T) {
	t.Parallel()
	s := secured(t, server.RANDOM_PORT, t.TempDir(), &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}})
	h := &harness{cfg: config.Default(), log: &recorder{}}
	h.cfg.NATS = config.NATS{URL: config.NewServerURLs(s.ClientURL()), User: "worker", Password: config.NewSecret("pw")}
	h.conn = h.connect(t, true)
	h.dial(t, s.ClientURL(), nats.UserInfo("worker", "pw"))
	consumer, _ := h.setup(t)
	h.publish(t, &nats.Msg{Data: []byte("x")})
	h.next(t, consumer).Ack()
	waitFor(t, "settlement", func() bool { return h.info(t).NumAckPending == 0 })
	for _, line := range h.log.all() {
		if strings.Contains(strings.ToLower(line), "violation") {
			t.Errorf("logged: %s", line)
		}
	}
}

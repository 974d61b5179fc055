package eventstest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/conn"
	"revoker/internal/testproc"
)

// Ensure does what a worker begins with. It returns the live lane.
func (h *Harness) Ensure(t testing.TB) (*events.Consumer, *events.DeadLetters) {
	t.Helper()
	lanes, letters := h.EnsureLanes(t)
	return lanes.Live, letters
}

// EnsureLanes is Ensure with all lanes.
func (h *Harness) EnsureLanes(t testing.TB) (*events.Consumers, *events.DeadLetters) {
	t.Helper()
	lanes, letters, err := events.Ensure(Deadline(t), h.Conn, h.Cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lanes.Close)
	return lanes, letters
}

// Create creates the event stream and its consumer as somebody else might.
func (h *Harness) Create(t testing.TB) {
	t.Helper()
	h.CreateStream(t, jetstream.StreamConfig{Name: h.Cfg.Stream, Subjects: []string{h.Cfg.Subject}})
	h.CreateConsumer(t)
}

// errorStoreFailed is an error code of the JetStream API. A server under load answers with it for a moment after it deleted a
// stream of that name.
const errorStoreFailed = 10049

// CreateStream creates a stream, also where one of that name was deleted just now.
func (h *Harness) CreateStream(t testing.TB, cfg jetstream.StreamConfig) {
	t.Helper()
	testproc.WaitFor(t, "stream "+cfg.Name, func() bool {
		_, err := h.JS.CreateStream(Deadline(t), cfg)
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == errorStoreFailed {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
}

// CreateConsumer is Create for the consumer alone.
func (h *Harness) CreateConsumer(t testing.TB) {
	t.Helper()
	if _, err := h.JS.CreateConsumer(Deadline(t), h.Cfg.Stream, jetstream.ConsumerConfig{
		Durable: h.Cfg.Consumer, AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: h.Cfg.Subject, MaxDeliver: -1, AckWait: h.Cfg.AckWait,
	}); err != nil {
		t.Fatal(err)
	}
}

// Recreate deletes the event stream and creates it anew, with its consumer and one new event of sequence 1.
func (h *Harness) Recreate(t testing.TB) {
	t.Helper()
	if err := h.JS.DeleteStream(Deadline(t), h.Cfg.Stream); err != nil {
		t.Fatal(err)
	}
	h.Create(t)
	h.Publish(t, &nats.Msg{Data: []byte("new")})
}

// Publish stores a message and returns its sequence.
func (h *Harness) Publish(t testing.TB, msg *nats.Msg) uint64 {
	t.Helper()
	if msg.Subject == "" {
		msg.Subject = h.Cfg.Subject
	}
	ack, err := h.JS.PublishMsg(Deadline(t), msg)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// Bury stores a message on the dead-letter subject, as anyone might who is allowed to.
func (h *Harness) Bury(t testing.TB, header nats.Header, payload string) uint64 {
	t.Helper()
	return h.Publish(t, &nats.Msg{Subject: h.Cfg.DeadLetterSubject, Header: header, Data: []byte(payload)})
}

// PublishRaw publishes an event by the protocol itself, since other clients send headers that nats.go refuses to.
func (h *Harness) PublishRaw(t testing.TB, lines, payload string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.Server.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers, err := h.NC.SubscribeSync(nats.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	header := "NATS/1.0\r\n" + lines + "\r\n\r\n"
	_, err = fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"headers\":true}\r\nHPUB %s %s %d %d\r\n%s%s\r\nPING\r\n",
		h.Cfg.Subject, answers.Subject, len(header), len(header)+len(payload), header, payload)
	if err != nil {
		t.Fatal(err)
	}
	for in, line := bufio.NewReader(conn), ""; line != "PONG\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := answers.NextMsg(Timeout)
	if err != nil {
		t.Fatal(err)
	}
	var stored jetstream.PubAck
	if err := json.Unmarshal(answer.Data, &stored); err != nil || stored.Sequence == 0 {
		t.Fatalf("the event was not stored: %s", answer.Data)
	}
}

// Next pulls one delivery.
func (h *Harness) Next(t testing.TB, consumer *events.Consumer) *events.Delivery {
	t.Helper()
	var d *events.Delivery
	testproc.WaitFor(t, "a delivery", func() bool {
		_, err := consumer.Pull(1, time.Second, func(got *events.Delivery) { d = got })
		if err != nil && !Silent(err) {
			t.Fatal(err)
		}
		return d != nil
	})
	return d
}

// Silent reports whether a pull ended without a word from the server. On a machine that pauses for seconds its time may be over
// before the server's answer is read. What it brings then comes with the next pull.
func Silent(err error) bool { return errors.Is(err, conn.ErrPullSilent) }

// NextRestored pulls one delivery as a worker does, which restores a pull that is not served.
func (h *Harness) NextRestored(t testing.TB, consumer *events.Consumer) (d *events.Delivery) {
	t.Helper()
	testproc.WaitFor(t, "a delivery", func() bool {
		_, err := consumer.Pull(1, time.Second, func(got *events.Delivery) { d = got })
		if err != nil {
			if err := consumer.Restore(Deadline(t)); err != nil && !conn.Transient(err) {
				t.Fatal(err)
			}
		}
		return d != nil
	})
	return d
}

// Another worker takes the next event and has its call in flight.
func (h *Harness) Another(t testing.TB) jetstream.Msg {
	t.Helper()
	consumer, err := h.JS.Consumer(Deadline(t), h.Cfg.Stream, h.Cfg.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next(jetstream.FetchMaxWait(Timeout))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// StillQueued fails if the event that another worker has in hand was settled by anyone. That worker hands it back. The server
// ignores that for an event that is settled, and it handles in order what it is told about a consumer's events.
func (h *Harness) StillQueued(t testing.TB, theirs jetstream.Msg) {
	t.Helper()
	if err := h.Conn.Flush(Timeout); err != nil {
		t.Error(err)
	}
	if err := theirs.Nak(); err != nil {
		t.Fatal(err)
	}
	again := h.Another(t)
	if meta, err := again.Metadata(); err != nil || meta.NumDelivered != 2 || string(again.Data()) != string(theirs.Data()) {
		t.Errorf("got %q, %+v, %v; want the second delivery of %q", again.Data(), meta, err, theirs.Data())
	}
	if err := again.Nak(); err != nil {
		t.Fatal(err)
	}
}

// Info is the state of the durable consumer.
func (h *Harness) Info(t testing.TB) *jetstream.ConsumerInfo {
	t.Helper()
	consumer, err := h.JS.Consumer(Deadline(t), h.Cfg.Stream, h.Cfg.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	return consumer.CachedInfo()
}

// Letter returns the only dead letter.
func (h *Harness) Letter(t testing.TB) *jetstream.RawStreamMsg {
	t.Helper()
	stream, err := h.JS.Stream(Deadline(t), h.Cfg.DeadLetterStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Fatalf("%d dead letters, want 1", n)
	}
	msg, err := stream.GetLastMsgForSubject(Deadline(t), h.Cfg.DeadLetterSubject)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

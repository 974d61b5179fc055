package events_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"revoker/config"
	"revoker/events"
	"revoker/events/embedded"
	"revoker/internal/testproc"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The server's clock and its logger outlive it by design.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.init.0.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
	)
}

const testTimeout = 20 * time.Second

// harness is a server of one test's own, with our connection to it and a plain one.
type harness struct {
	server *embedded.Server
	cfg    config.Config
	log    *recorder
	conn   *events.Conn
	nc     *nats.Conn
	js     jetstream.JetStream
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	h := &harness{server: testproc.StartNATS(t), cfg: config.Default(), log: &recorder{}}
	h.cfg.NATS.URL = config.NewServerURLs(h.server.URL())
	h.conn = h.connect(t, true)
	var err error
	if h.nc, err = nats.Connect(h.server.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.nc.Close)
	if h.js, err = jetstream.New(h.nc); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *harness) connect(t testing.TB, wait bool) *events.Conn {
	t.Helper()
	conn, err := events.Connect(h.cfg.NATS, "test", slog.New(h.log), wait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func (h *harness) setup(t testing.TB) (*events.Consumer, *events.DeadLetters) {
	t.Helper()
	consumer, letters, err := events.Setup(deadline(t), h.conn, h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consumer.Close)
	return consumer, letters
}

// publish stores a message and returns its sequence.
func (h *harness) publish(t testing.TB, msg *nats.Msg) uint64 {
	t.Helper()
	if msg.Subject == "" {
		msg.Subject = h.cfg.Subject
	}
	ack, err := h.js.PublishMsg(deadline(t), msg)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// next pulls one delivery.
func (h *harness) next(t testing.TB, consumer *events.Consumer) *events.Delivery {
	t.Helper()
	var d *events.Delivery
	waitFor(t, "a delivery", func() bool {
		if _, err := consumer.Pull(1, time.Second, func(got *events.Delivery) { d = got }); err != nil {
			t.Fatal(err)
		}
		return d != nil
	})
	return d
}

func (h *harness) info(t testing.TB) *jetstream.ConsumerInfo {
	t.Helper()
	consumer, err := h.js.Consumer(deadline(t), h.cfg.Stream, h.cfg.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	return consumer.CachedInfo()
}

// letter returns the only dead letter.
func (h *harness) letter(t testing.TB) *jetstream.RawStreamMsg {
	t.Helper()
	stream, err := h.js.Stream(deadline(t), h.cfg.DeadLetterStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Fatalf("%d dead letters, want 1", n)
	}
	msg, err := stream.GetLastMsgForSubject(deadline(t), h.cfg.DeadLetterSubject)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	testproc.WaitFor(t, what, condition)
}

// recorder keeps log messages.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *recorder) WithGroup(string) slog.Handler            { return r }

func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	line := " " + record.Message
	record.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return nil
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

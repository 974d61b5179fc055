package worker_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"revoker/config"
	"revoker/events"
	"revoker/internal/testleak"
	"revoker/internal/testproc"
	"revoker/worker"
	"revoker/worker/authlete"
	"revoker/worker/authlete/sim"
)

func TestMain(m *testing.M) {
	// Most tests wait for most of their time, so more of them than CPUs go on at a time.
	if flag.Parse(); !given("test.parallel") {
		_ = flag.Set("test.parallel", "4")
	}
	testleak.Main(m,
		// The server's clock outlives it by design.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.init.0.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
	)
}

// given reports whether the command line sets the flag.
func given(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

const (
	testTimeout = 30 * time.Second
	testToken   = "SECRET-token"
	testService = "1234567890"
)

// bench is a NATS server, a simulated API and what it takes to run workers between them, of one test's own.
type bench struct {
	t    *testing.T
	cfg  config.Config
	api  *sim.Server
	js   jetstream.JetStream
	conn *events.Conn
	// worker is the one that was started last.
	worker *worker.Worker
	log    *logOutput
	// traces, if not nil, is told of the workers' spans.
	traces trace.TracerProvider
	// observe, if not nil, is told of the workers' settlements.
	observe func(worker.Settlement)

	mu      sync.Mutex
	settled []worker.Settlement
}

// newBench starts server and API; delays and probes are short.
func newBench(t *testing.T, options sim.Options) *bench {
	t.Helper()
	b := &bench{t: t, cfg: config.Default(), log: &logOutput{}}
	options.Token, options.Services = testToken, append(options.Services, testService)
	api, err := sim.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	b.api = api
	b.cfg.NATS.URL = config.NewServerURLs(testproc.StartNATS(t).URL())
	b.cfg.API = config.API{BaseURL: api.URL(), ServiceID: testService, Bearer: config.NewSecret(testToken)}
	b.cfg.RetryInitialInterval, b.cfg.RetryMaxInterval = 40*time.Millisecond, time.Second
	b.cfg.BreakerProbeInterval, b.cfg.BreakerMaxProbeInterval = 50*time.Millisecond, 200*time.Millisecond
	nc, err := nats.Connect(b.cfg.NATS.URL.Reveal(), nats.Timeout(testTimeout))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if b.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// start runs a worker; the returned function stops it and waits for its drain. The test's end stops it too.
func (b *bench) start() (stop func()) {
	b.t.Helper()
	log := b.logger()
	conn, err := events.Connect(b.cfg.NATS, "test", log, true)
	if err != nil {
		b.t.Fatal(err)
	}
	lanes, letters, err := events.Ensure(b.deadline(), conn, b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	api, err := authlete.New(b.cfg, "test")
	if err != nil {
		b.t.Fatal(err)
	}
	b.conn = conn
	w := worker.New(b.cfg, lanes, letters, api, log, func(s worker.Settlement) {
		b.mu.Lock()
		b.settled = append(b.settled, s)
		b.mu.Unlock()
		if b.observe != nil {
			b.observe(s)
		}
	})
	b.worker = w
	if b.cfg.Receipts {
		receipts, err := events.NewReceipts(conn, b.cfg)
		if err != nil {
			b.t.Fatal(err)
		}
		w.Receipts(receipts)
	}
	if b.traces != nil {
		w.Trace(b.traces)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		if err := conn.Flush(testTimeout); err != nil {
			b.t.Error(err)
		}
		lanes.Close()
		conn.Close()
		api.Close()
	})
	b.t.Cleanup(stop)
	return stop
}

func (b *bench) deadline() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	b.t.Cleanup(cancel)
	return ctx
}

// publish stores a message on the event subject, once its stream is there.
func (b *bench) publish(msg *nats.Msg) {
	b.t.Helper()
	msg.Subject = b.cfg.Subject
	if _, err := b.js.PublishMsg(b.deadline(), msg); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) publishSession(ids ...string) {
	b.t.Helper()
	for _, id := range ids {
		b.publish(&nats.Msg{Data: events.Event{SessionID: events.SessionID(id)}.Encode()})
	}
}

// setup creates streams and consumer without a worker.
func (b *bench) setup() {
	b.t.Helper()
	conn, err := events.Connect(b.cfg.NATS, "test", b.logger(), true)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	lanes, _, err := events.Ensure(b.deadline(), conn, b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	lanes.Close()
}

// deafen makes a stream store nothing more that is published; it keeps what it has. A deleted stream would do the same until a worker
// sets it up again, which it does after each pull that is not answered in time. The returned function ends it.
func (b *bench) deafen(name string) (hear func()) {
	b.t.Helper()
	stream, err := b.js.Stream(b.deadline(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.js.CreateOrUpdateStream(b.deadline(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}}); err != nil {
		b.t.Fatal(err)
	}
	hearing := stream.CachedInfo().Config
	update := func(cfg jetstream.StreamConfig) {
		b.t.Helper()
		if _, err := b.js.UpdateStream(b.deadline(), cfg); err != nil {
			b.t.Fatal(err)
		}
	}
	deaf := hearing
	deaf.Subjects, deaf.Sources = nil, []*jetstream.StreamSource{{Name: "OTHER"}}
	update(deaf)
	return func() { update(hearing) }
}

func (b *bench) waitFor(what string, condition func() bool) {
	b.t.Helper()
	met := false
	defer func() {
		if !met {
			b.t.Logf("the log:\n%s", b.log)
		}
	}()
	testproc.WaitFor(b.t, what, condition)
	met = true
}

// waitDone waits until every event of the stream is settled. The number pending alone would not do: it lags behind the
// stream.
func (b *bench) waitDone() {
	b.t.Helper()
	stream, err := b.js.Stream(b.deadline(), b.cfg.Stream)
	if err != nil {
		b.t.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	b.waitFor("end of the backlog", func() bool {
		info := b.info()
		return info.Delivered.Stream >= last && info.NumPending == 0 && info.NumAckPending == 0
	})
}

func (b *bench) info() *jetstream.ConsumerInfo {
	b.t.Helper()
	consumer, err := b.js.Consumer(b.deadline(), b.cfg.Stream, b.cfg.Consumer)
	if err != nil {
		b.t.Fatal(err)
	}
	return consumer.CachedInfo()
}

func (b *bench) revoked(id string) bool { return b.api.Session(id).Revoked() }

// letters returns the dead letters in their order.
func (b *bench) letters() []*jetstream.RawStreamMsg {
	b.t.Helper()
	stream, err := b.js.Stream(b.deadline(), b.cfg.DeadLetterStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	var letters []*jetstream.RawStreamMsg
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; state.Msgs > 0 && sequence <= state.LastSeq; sequence++ {
		msg, err := stream.GetMsg(b.deadline(), sequence)
		if err != nil {
			b.t.Fatal(err)
		}
		letters = append(letters, msg)
	}
	return letters
}

// outcomes lists the settlements of a session in their order.
func (b *bench) outcomes(id string) (list []worker.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.settled {
		if s.Session == events.SessionID(id) {
			list = append(list, s.Outcome)
		}
	}
	return list
}

// outcomesOf lists the sessions that were settled so.
func (b *bench) outcomesOf(outcome worker.Outcome) map[events.SessionID]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := map[events.SessionID]bool{}
	for _, s := range b.settled {
		if s.Outcome == outcome {
			list[s.Session] = true
		}
	}
	return list
}

// settlements is how many deliveries were settled.
func (b *bench) settlements() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.settled)
}

// deleted is how many tokens the settlements of a session tell of.
func (b *bench) deleted(id string) (tokens int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.settled {
		if s.Session == events.SessionID(id) {
			tokens += s.Deleted
		}
	}
	return tokens
}

// sessions names n sessions.
func sessions(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s-SECRET-session-%04d", prefix, i)
	}
	return list
}

// logOutput is what a worker logged.
type logOutput struct{ testproc.Buffer }

func (l *logOutput) count(part string) int { return strings.Count(l.String(), part) }

// at is the time of the first line with a part.
func (l *logOutput) at(t *testing.T, part string) time.Time {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, part) {
			var text string
			_, err := fmt.Sscanf(line, "time=%s", &text)
			moment, parsed := time.Parse(time.RFC3339Nano, text)
			if err = errors.Join(err, parsed); err != nil {
				t.Fatal(err)
			}
			return moment
		}
	}
	t.Fatalf("no line with %q", part)
	return time.Time{}
}

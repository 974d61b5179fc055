package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testissuer"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// chaos is the whole installation, with what was injected and seen.
type chaos struct {
	*testsite.Site
	*cluster
	t        *testing.T
	workers  [4]*worker
	names    *names
	token    string // file
	receiver *receiver
	sources  sources
	watch    watch
	faults   []*fault
	tally    tally

	ending  chan struct{} // closed when the sources are to end
	ended   chan struct{} // closed when the watch is to end
	over    atomic.Bool   // the test is: nobody goes on trying
	running sync.WaitGroup
	watched sync.WaitGroup
}

func newChaos(t *testing.T) *chaos {
	api := testsite.Simulator{Failing: 5, Bad: 1, Cursed: 2000, Latency: 3 * time.Millisecond, Jitter: 4 * time.Millisecond}
	c := &chaos{Site: testsite.New(t, api), t: t, cluster: startCluster(t), ending: make(chan struct{}), ended: make(chan struct{})}
	c.NATSURL = c.url()
	nc, err := nats.Connect(c.NATSURL, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond), nats.PingInterval(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if c.JS, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "leader of the cluster", func() bool {
		ctx, cancel := request()
		defer cancel()
		_, err := c.JS.AccountInfo(ctx)
		return err == nil
	})
	c.names = newNames(t)
	c.token = filepath.Join(t.TempDir(), "token")
	c.writeToken(testsite.Token)
	return c
}

// request is the context of one request to the servers.
func request() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*time.Second)
}

func (c *chaos) writeToken(token string) {
	if err := os.WriteFile(c.token, []byte(token+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// start starts workers, receiver and sources, and waits until an event came through.
func (c *chaos) start() {
	for i := range c.workers {
		c.workers[i] = newWorker(c, i)
	}
	for _, stream := range []string{"SESSIONS", "SESSIONS_DLQ", "SESSIONS_REVOKED"} {
		testproc.WaitFor(c.t, "stream "+stream, func() bool {
			ctx, cancel := request()
			defer cancel()
			_, err := c.JS.Stream(ctx, stream)
			return err == nil
		})
	}
	c.receiver = newReceiver(c, testissuer.New(c.t))
	c.t.Cleanup(c.endAll)
	c.watched.Go(c.watchOn)
	c.recovered("the start")
	c.running.Go(c.publish)
	c.running.Go(c.signal)
}

// endAll ends sources and watch, if a fatal error left them running.
func (c *chaos) endAll() {
	c.over.Store(true)
	for _, end := range []chan struct{}{c.ending, c.ended} {
		select {
		case <-end:
		default:
			close(end)
		}
	}
	c.running.Wait()
	c.watched.Wait()
}

// attempts is one more than a session fails that is OK in the end.
const attempts = testsite.Failures + 1

// slots is how many calls a worker may make at a time.
const slots = 16

// worker is a process with relays between it, the servers and the API. The first one is never killed, so that its memory can be watched.
type worker struct {
	c      *chaos
	index  int
	toNATS []*testproc.Relay
	toAPI  *testproc.Relay

	mu      sync.Mutex
	process *testproc.Process
}

// current is the process; the watch asks while faults replace it.
func (w *worker) current() *testproc.Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process
}

func newWorker(c *chaos, index int) *worker {
	w := &worker{c: c, index: index, toAPI: testproc.NewRelay(c.t, strings.TrimPrefix(c.APIURL, "http://"))}
	for _, n := range c.nodes {
		w.toNATS = append(w.toNATS, testproc.NewRelay(c.t, n.client))
	}
	w.start()
	return w
}

// start starts the process, with further commands of a shell before it. It may find NATS or the API away. Its limits are so low that many
// events pass them in an outage: attempts and age alone must not condemn them. An acknowledged event leaves the stream, so that a
// consumer that is deleted and created anew delivers only what is not settled.
func (w *worker) start(before ...string) {
	servers := make([]string, 0, nodes)
	for _, relay := range w.toNATS {
		servers = append(servers, "nats://"+relay.Addr)
	}
	_, port, _ := strings.Cut(w.toAPI.Addr, ":")
	env := w.c.Env("NATS_URL="+strings.Join(servers, ","), "AUTHLETE_BASE_URL=http://"+w.c.names.host+":"+port, "AUTHLETE_BEARER=", "AUTHLETE_BEARER_FILE="+w.c.token,
		"REVOKER_ALLOW_INSECURE_HTTP=true", fmt.Sprintf("REVOKER_CONCURRENCY=%d", slots), "REVOKER_REPLICAS=3", "REVOKER_RETENTION=workqueue", "REVOKER_RECEIPTS=true",
		"REVOKER_RECEIPT_MAX_COUNT=100000000", "REVOKER_ACK_WAIT=2s", "REVOKER_REQUEST_TIMEOUT=2s", "REVOKER_LOG_LEVEL=info",
		fmt.Sprintf("REVOKER_RETRY_MAX_ATTEMPTS=%d", attempts), "REVOKER_RETRY_MAX_AGE=1s", "REVOKER_RETRY_MAX_INTERVAL=500ms", "BINARY="+testproc.Binary(w.c.t, "revoker"))
	program, args := w.c.names.shell(append(before, `exec "$BINARY" run`))
	p := testproc.Start(w.c.t, env, program, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process = p
}

func (w *worker) end(signal os.Signal, code int) {
	w.c.t.Helper()
	w.c.end(fmt.Sprintf("worker %d", w.index), w.process, "serving health endpoints", signal, code)
}

// hasNoSecret looks through what a process said.
func (c *chaos) hasNoSecret(what string, said ...string) {
	if slices.ContainsFunc(said, func(text string) bool { return strings.Contains(text, "SECRET") }) {
		c.violation("%s printed a secret", what)
	}
}

// end ends a process with a signal, and looks at how it ended and at what it said. An earlier fault may have started it a moment ago: it
// heeds SIGTERM by the time that it says it is up.
func (c *chaos) end(what string, p *testproc.Process, up string, signal os.Signal, code int) {
	c.t.Helper()
	if signal == syscall.SIGTERM {
		testproc.WaitFor(c.t, what+" that heeds signals", func() bool {
			return !p.Running() || strings.Contains(p.Stderr.String(), `"msg":"`+up+`"`)
		})
	}
	p.Signal(signal)
	if got := p.Wait(); got != code {
		c.violation("%s: exit code %d after %v, want %d; its log ends with\n%s", what, got, signal, code, p.Stderr.Tail())
	}
	c.hasNoSecret(what, p.Stdout.String(), p.Stderr.String())
	p.Quiet = true
}

// violation is a broken promise. Any goroutine may report one.
func (c *chaos) violation(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("%s VIOLATION: %s", clock(), fmt.Sprintf(format, args...))
}

func clock() string { return time.Now().Format("15:04:05.000") }

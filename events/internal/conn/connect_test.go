package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"revoker/config"
	"revoker/events"
	"revoker/events/embedded"
	"revoker/events/internal/eventstest"
	"revoker/internal/testport"
	"revoker/internal/testproc"
)

func startOn(t *testing.T, port int, folder string) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(port, folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func count(lines []string, part string) (n int) {
	for _, line := range lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func TestItWaitsForAServerAndOutlivesIt(t *testing.T) {
	t.Parallel()
	port, folder := testport.Free(t), t.TempDir()
	h := unconnected()
	h.Cfg.NATS.URL = config.NewServerURLs(fmt.Sprintf("nats://127.0.0.1:%d", port))
	h.Conn = h.Connect(t, true)
	ready := make(chan error, 1)
	go func() {
		_, _, err := events.Ensure(eventstest.Deadline(t), h.Conn, h.Cfg)
		ready <- err
	}()
	testproc.WaitFor(t, "failed attempts", func() bool { return count(h.Log.Lines(), "NATS can't be reached") > 0 })
	s := startOn(t, port, folder)
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	testproc.WaitFor(t, "disconnection", func() bool { return !h.Conn.Connected() })
	startOn(t, port, folder)
	if err := h.Conn.AwaitConnected(eventstest.Deadline(t)); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "word of the reconnection", func() bool { return count(h.Log.Lines(), "reconnected to NATS") == 1 })
	lines := h.Log.Lines()
	for _, once := range []string{"waiting for it", " connected to NATS", "disconnected from NATS", "reconnected to NATS"} {
		if n := count(lines, once); n != 1 {
			t.Errorf("%q %d times, want once, in\n%s", once, n, strings.Join(lines, "\n"))
		}
	}
}

func TestConnectFailsAtOnceWhereItIsNotToWait(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.NATS.URL = config.NewServerURLs("nats://user:SECRET@" + testport.Address(t))
	_, err := events.Connect(cfg.NATS, "test", slog.New(&eventstest.Log{}), false)
	if err == nil || strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), "[redacted]@127.0.0.1") {
		t.Errorf("got %v", err)
	}
}

func TestAwaitConnectedEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h := unconnected()
	h.Cfg.NATS.URL = config.NewServerURLs("nats://" + testport.Address(t))
	h.Conn = h.Connect(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.Conn.AwaitConnected(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// Credentials expire and are renewed: identical refusals in a row must not end the reconnecting.
func TestAnAuthenticationErrorDoesNotEndTheReconnecting(t *testing.T) {
	t.Parallel()
	h := unconnected()
	wrong := eventstest.Secured(t, &server.User{Username: "worker", Password: "other"})
	right := eventstest.Secured(t, &server.User{Username: "worker", Password: "SECRET-right"})
	front := newRelay(t, wrong.Addr().String())
	h.Cfg.NATS = config.NATS{URL: config.NewServerURLs("nats://" + front.addr), User: "worker", Password: config.NewSecret("SECRET-right")}
	h.Conn = h.Connect(t, true)
	testproc.WaitFor(t, "several refusals", func() bool { return front.accepted.Load() >= 4 })
	front.to(right.Addr().String())
	if err := h.Conn.AwaitConnected(eventstest.Deadline(t)); err != nil {
		t.Fatal(err)
	}
	lines := h.Log.Lines()
	// Each reason is logged once in a row. Another one may come between on a machine that pauses: that the server did not answer.
	const refused = "NATS refuses the credentials; trying again"
	var failures []string
	for _, line := range lines {
		if strings.Contains(line, "; trying again") {
			failures = append(failures, line)
		}
	}
	if count(failures, refused) == 0 || len(slices.Compact(slices.Clone(failures))) != len(failures) {
		t.Errorf("the refusal is not logged once in\n%s", strings.Join(lines, "\n"))
	}
	if count(lines, "SECRET") > 0 {
		t.Errorf("a password is logged:\n%s", strings.Join(lines, "\n"))
	}
}

// relay passes connections on to a server that can be changed.
type relay struct {
	addr     string
	accepted atomic.Int64
	target   atomic.Value
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: listener.Addr().String()}
	r.to(target)
	var working sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		working.Wait()
	})
	working.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			r.accepted.Add(1)
			working.Go(func() { r.pass(client) })
		}
	})
	return r
}

func (r *relay) to(target string) { r.target.Store(target) }

func (r *relay) pass(client net.Conn) {
	defer client.Close()
	upstream, err := net.Dial("tcp", r.target.Load().(string))
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() {
		_, _ = io.Copy(upstream, client)
		upstream.Close()
	}()
	_, _ = io.Copy(client, upstream)
}

func TestContextOfTheNATSCommandLine(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "worker", Password: "pw"})
	file := filepath.Join(t.TempDir(), "test.json")
	content := fmt.Sprintf(`{"url":%q,"user":"worker","password":"pw"}`, s.ClientURL())
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	h := unconnected()
	h.Cfg.NATS.Context = file
	h.Conn = h.Connect(t, false)
	h.Ensure(t)

	// NATS_URL beside the context overrides its servers.
	content = `{"url":"nats://127.0.0.1:1","user":"worker","password":"pw"}`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Cfg.NATS.URL = config.NewServerURLs(s.ClientURL())
	h.Conn = h.Connect(t, false)
	h.Ensure(t)

	h.Cfg.NATS.Context = "no-such-context"
	if _, err := events.Connect(h.Cfg.NATS, "test", slog.New(h.Log), true); err == nil || !strings.Contains(err.Error(), "no-such-context") {
		t.Errorf("got %v", err)
	}
}

func TestAnAccountThatMayNotCreateIsToldWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>"}},
	}})
	h := unconnected()
	h.Cfg.NATS = eventstest.As(s, "worker")
	h.Conn = h.Connect(t, true)
	_, _, err := events.Ensure(eventstest.Deadline(t), h.Conn, h.Cfg)
	if err == nil || !strings.Contains(err.Error(), "creating stream SESSIONS: the account's permissions do not allow it") {
		t.Errorf("got %v", err)
	}
}

// timed is a context whose time is over when the test says so.
type timed struct {
	context.Context
	over chan struct{}
}

func (c timed) Done() <-chan struct{} { return c.over }

func (c timed) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// A refusal reaches the request that it is about only through the connection, where another may come in between.
func TestRequestsThatAreRefusedAtATimeEachSaySo(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>", "session.ended"}},
	}})
	h := unconnected()
	h.Cfg.NATS = eventstest.As(s, "worker")
	h.Conn = h.Connect(t, true)
	h.Connected(t)
	ctx := timed{eventstest.Deadline(t), make(chan struct{})} // that is how it ends; Ensure has one of its own
	published := make(chan error, 1)
	go func() {
		_, err := events.NewPublisher(h.Conn, h.Cfg.Subject).Publish(ctx, events.Event{SessionID: "abc"})
		published <- err
	}()
	_, _, created := events.Ensure(eventstest.Deadline(t), h.Conn, h.Cfg)
	testproc.WaitFor(t, "word of the event's refusal", func() bool { return h.Conn.ViolationHas(`"session.ended"`) })
	close(ctx.over)
	for _, err := range []error{created, <-published} {
		if err == nil || !strings.Contains(err.Error(), "the account's permissions do not allow it") {
			t.Errorf("got %v", err)
		}
	}
}

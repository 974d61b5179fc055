package events_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"revoker/config"
	"revoker/events"
	"revoker/events/embedded"
)

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

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
	port, folder := freePort(t), t.TempDir()
	h := &harness{cfg: config.Default(), log: &recorder{}}
	h.cfg.NATS.URL = config.NewServerURLs(fmt.Sprintf("nats://127.0.0.1:%d", port))
	h.conn = h.connect(t, true)
	ready := make(chan error, 1)
	go func() {
		_, _, err := events.Setup(deadline(t), h.conn, h.cfg)
		ready <- err
	}()
	waitFor(t, "failed attempts", func() bool { return count(h.log.all(), "NATS can't be reached") > 0 })
	s := startOn(t, port, folder)
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	waitFor(t, "disconnection", func() bool { return !h.conn.Connected() })
	startOn(t, port, folder)
	if err := h.conn.AwaitConnected(deadline(t)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "word of the reconnection", func() bool { return count(h.log.all(), "reconnected to NATS") == 1 })
	lines := h.log.all()
	for _, once := range []string{"waiting for it", " connected to NATS", "disconnected from NATS", "reconnected to NATS"} {
		if n := count(lines, once); n != 1 {
			t.Errorf("%q %d times, want once, in\n%s", once, n, strings.Join(lines, "\n"))
		}
	}
}

func TestConnectFailsAtOnceWhereItIsNotToWait(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.NATS.URL = config.NewServerURLs(fmt.Sprintf("nats://user:SECRET@127.0.0.1:%d", freePort(t)))
	_, err := events.Connect(cfg.NATS, "test", slog.New(&recorder{}), false)
	if err == nil || strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), "[redacted]@127.0.0.1") {
		t.Errorf("got %v", err)
	}
}

func TestAwaitConnectedEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h := &harness{cfg: config.Default(), log: &recorder{}}
	h.cfg.NATS.URL = config.NewServerURLs(fmt.Sprintf("nats://127.0.0.1:%d", freePort(t)))
	h.conn = h.connect(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.conn.AwaitConnected(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// secured starts a server whose users are given, with a JetStream account for them.
func secured(t *testing.T, port int, folder string, users ...*server.User) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: folder, NoSigs: true, NoLog: true, Users: users,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(testTimeout) {
		t.Fatal("the server is not ready")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// Credentials expire and are renewed: identical refusals in a row must not end the reconnecting.
func TestAnAuthenticationErrorDoesNotEndTheReconnecting(t *testing.T) {
	t.Parallel()
	h := &harness{cfg: config.Default(), log: &recorder{}}
	wrong := secured(t, server.RANDOM_PORT, t.TempDir(), &server.User{Username: "worker", Password: "other"})
	right := secured(t, server.RANDOM_PORT, t.TempDir(), &server.User{Username: "worker", Password: "SECRET-right"})
	front := newRelay(t, wrong.Addr().String())
	h.cfg.NATS = config.NATS{URL: config.NewServerURLs("nats://" + front.addr), User: "worker", Password: config.NewSecret("SECRET-right")}
	h.conn = h.connect(t, true)
	waitFor(t, "several refusals", func() bool { return front.accepted.Load() >= 4 })
	front.to(right.Addr().String())
	if err := h.conn.AwaitConnected(deadline(t)); err != nil {
		t.Fatal(err)
	}
	lines := h.log.all()
	if n := count(lines, "NATS refuses the credentials; trying again"); n != 1 {
		t.Errorf("the refusal is logged %d times, want once, in\n%s", n, strings.Join(lines, "\n"))
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
	s := secured(t, server.RANDOM_PORT, t.TempDir(), &server.User{Username: "worker", Password: "pw"})
	file := filepath.Join(t.TempDir(), "test.json")
	content := fmt.Sprintf(`{"url":%q,"user":"worker","password":"pw"}`, s.ClientURL())
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &harness{cfg: config.Default(), log: &recorder{}}
	h.cfg.NATS.Context = file
	h.conn = h.connect(t, false)
	h.setup(t)

	// NATS_URL beside the context overrides its servers.
	content = `{"url":"nats://127.0.0.1:1","user":"worker","password":"pw"}`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	h.cfg.NATS.URL = config.NewServerURLs(s.ClientURL())
	h.conn = h.connect(t, false)
	h.setup(t)

	h.cfg.NATS.Context = "no-such-context"
	if _, err := events.Connect(h.cfg.NATS, "test", slog.New(h.log), true); err == nil || !strings.Contains(err.Error(), "no-such-context") {
		t.Errorf("got %v", err)
	}
}

func TestAnAccountThatMayNotCreateIsToldWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := secured(t, server.RANDOM_PORT, t.TempDir(), &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>"}},
	}})
	h := &harness{cfg: config.Default(), log: &recorder{}}
	h.cfg.NATS = config.NATS{URL: config.NewServerURLs(s.ClientURL()), User: "worker", Password: config.NewSecret("pw")}
	h.conn = h.connect(t, true)
	_, _, err := events.Setup(deadline(t), h.conn, h.cfg)
	if err == nil || !strings.Contains(err.Error(), "creating stream SESSIONS: the account's permissions do not allow it") {
		t.Errorf("got %v", err)
	}
}

// A refusal reaches the request that it is about only through the connection, where another may come in between.
func TestRequestsThatAreRefusedAtATimeEachSaySo(t *testing.T) {
	t.Parallel()
	s := secured(t, server.RANDOM_PORT, t.TempDir(), &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>", "session.ended"}},
	}})
	h := &harness{cfg: config.Default(), log: &recorder{}}
	h.cfg.NATS = config.NATS{URL: config.NewServerURLs(s.ClientURL()), User: "worker", Password: config.NewSecret("pw")}
	h.conn = h.connect(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // that is how it ends; Setup has one of its own
	defer cancel()
	published := make(chan error, 1)
	go func() {
		_, err := events.NewPublisher(h.conn, h.cfg.Subject).Publish(ctx, events.Event{SessionID: "abc"})
		published <- err
	}()
	_, _, created := events.Setup(deadline(t), h.conn, h.cfg)
	for _, err := range []error{created, <-published} {
		if err == nil || !strings.Contains(err.Error(), "the account's permissions do not allow it") {
			t.Errorf("got %v", err)
		}
	}
}

func TestPublisherStoresAnEventOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	publisher := events.NewPublisher(h.conn, h.cfg.Subject)
	event := events.Event{SessionID: "abc"}
	if _, err := publisher.Publish(deadline(t), event); err == nil || !strings.Contains(err.Error(), "no stream answers for session.ended") {
		t.Errorf("without a stream: %v", err)
	}
	consumer, _ := h.setup(t)
	for _, want := range []bool{false, true} {
		if duplicate, err := publisher.Publish(deadline(t), event); err != nil || duplicate != want {
			t.Errorf("duplicate %v, %v; want %v", duplicate, err, want)
		}
	}
	if _, err := publisher.Publish(deadline(t), events.Event{SessionID: "a\nb"}); err == nil {
		t.Error("an invalid session ID was published")
	}
	d := h.next(t, consumer)
	if id := d.Header().Get("Nats-Msg-Id"); id != event.MessageID() || strings.Contains(id, "abc") {
		t.Errorf("message ID %q", id)
	}
	if backlog, err := h.conn.Backlog(deadline(t), h.cfg.Stream, h.cfg.Consumer); err != nil || backlog != (events.Backlog{Unsettled: 1}) {
		t.Errorf("backlog %+v, %v", backlog, err)
	}
}

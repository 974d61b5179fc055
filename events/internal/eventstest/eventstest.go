// Package eventstest runs a NATS server for the length of one test, with a connection of revoker's and a plain one. Only tests of
// revoker/events and its rooms import it.
package eventstest

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"revoker/config"
	"revoker/events"
	"revoker/events/embedded"
	"revoker/internal/testleak"
	"revoker/internal/testproc"
)

// Main runs the tests of a package and fails if a goroutine is left.
func Main(m *testing.M) {
	testleak.Main(m,
		// The server's clock and its logger outlive it by design.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.init.0.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
	)
}

// Timeout is how long a test waits for anything.
const Timeout = testproc.Timeout

// Harness is one test's own server, with revoker's connection to it and a plain one.
type Harness struct {
	Server *embedded.Server
	Cfg    config.Config
	Log    *Log
	Conn   *events.Conn
	NC     *nats.Conn
	JS     jetstream.JetStream
}

// New starts a server and connects to it.
func New(t testing.TB) *Harness {
	t.Helper()
	h := Unconnected()
	h.Server = testproc.StartNATS(t)
	h.Cfg.NATS.URL = config.NewServerURLs(h.Server.URL())
	h.Conn = h.Connect(t, true)
	h.Connected(t)
	h.Dial(t, h.Server.URL())
	return h
}

// Connected waits for the connection, and for the log's word of it. The client gives that a moment later, and it would come between
// what a test looks for.
func (h *Harness) Connected(t testing.TB) {
	t.Helper()
	testproc.WaitFor(t, "word of the connection", func() bool {
		return h.Conn.Connected() && strings.Contains(strings.Join(h.Log.Lines(), "\n"), " connected to NATS")
	})
}

// Unconnected has the default configuration, and neither server nor connections.
func Unconnected() *Harness { return &Harness{Cfg: config.Default(), Log: &Log{}} }

// KeepInHand is called before [Harness.Ensure] by a test that has several deliveries in hand: none comes again while it runs, however
// slow the machine is.
func (h *Harness) KeepInHand() { h.Cfg.AckWait = time.Hour }

// Start starts the server on a port, with a plain connection to it.
func (h *Harness) Start(t testing.TB, port int, folder string) {
	t.Helper()
	var err error
	if h.Server, err = embedded.Start(port, folder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Server.Shutdown)
	h.Dial(t, h.Server.URL())
}

// Port is the server's.
func (h *Harness) Port(t testing.TB) int {
	t.Helper()
	port, err := strconv.Atoi(h.Server.URL()[strings.LastIndex(h.Server.URL(), ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Connect returns a connection of revoker's.
func (h *Harness) Connect(t testing.TB, wait bool) *events.Conn {
	t.Helper()
	conn := connected(t, func() (*events.Conn, error) { return events.Connect(h.Cfg.NATS, "test", slog.New(h.Log), wait) })
	t.Cleanup(conn.Close)
	return conn
}

// connected connects, and tries again where that fails: the server pings a client after 2 s, which one that is still connecting does
// not understand.
func connected[C any](t testing.TB, connect func() (C, error)) (conn C) {
	t.Helper()
	testproc.WaitFor(t, "connection", func() bool {
		var err error
		if conn, err = connect(); err != nil {
			t.Logf("connecting: %v", err)
		}
		return err == nil
	})
	return conn
}

// Dial opens the plain connection.
func (h *Harness) Dial(t testing.TB, url string, options ...nats.Option) {
	t.Helper()
	h.NC = connected(t, func() (*nats.Conn, error) { return nats.Connect(url, append(options, nats.Timeout(Timeout))...) })
	t.Cleanup(h.NC.Close)
	var err error
	if h.JS, err = jetstream.New(h.NC); err != nil {
		t.Fatal(err)
	}
}

// Secured starts a server whose users are given, with a JetStream account for them.
func Secured(t testing.TB, users ...*server.User) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, Users: users,
		AuthTimeout: Timeout.Seconds(), // or a client that is slow would hear of that, and not of its credentials
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(Timeout) {
		t.Fatal("the server is not ready")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// As is how a user of a [Secured] server connects.
func As(s *server.Server, user string) config.NATS {
	return config.NATS{URL: config.NewServerURLs(s.ClientURL()), User: user, Password: config.NewSecret("pw")}
}

// Deadline is a context that ends with the test, or after [Timeout].
func Deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Timeout)
	t.Cleanup(cancel)
	return ctx
}

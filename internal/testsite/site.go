// Package testsite is a NATS server and a simulated logout API, each a process, with workers and commands between them: where the
// built binary is tested and measured. Tests alone import it.
package testsite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testport"
	"revoker/internal/testproc"
)

// Site is a NATS server and an API, each a process, and what it takes to run workers between them.
type Site struct {
	T         testing.TB // the test that it is for
	NATSURL   string
	APIURL    string
	Sim       Simulator
	store     string              // the NATS server's
	Login     nats.Option         // of the test itself
	JS        jetstream.JetStream // by the test's own connection; nil before Connect
	Server    string              // another NATS server than that of go.mod
	ServerEnv []string            // of servers whose configuration has variables
	Edit      func(string) string // of the configuration; may be nil
}

// New starts the API. The NATS server is started by StartNATS.
func New(t testing.TB, s Simulator) *Site {
	t.Helper()
	options, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	api := testproc.Start(t, []string{simulatorVariable + "=" + string(options)}, os.Args[0])
	testproc.WaitFor(t, "simulated API", func() bool { return strings.HasSuffix(api.Stdout.String(), "\n") })
	site := &Site{
		T: t, Sim: s, APIURL: strings.TrimSpace(api.Stdout.String()), store: t.TempDir(),
		NATSURL: "nats://" + testport.Address(t), Login: nats.UserInfo("admin", "admin"),
	}
	return site
}

// StartNATS starts the server, on the site's port and store; more are further arguments.
func (s *Site) StartNATS(more ...string) *testproc.Process {
	s.T.Helper()
	port := s.NATSURL[strings.LastIndexByte(s.NATSURL, ':')+1:]
	program := s.Server
	if program == "" {
		program = testproc.Binary(s.T, "nats-server")
	}
	server := testproc.Start(s.T, nil, program, append([]string{"--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", s.store}, more...)...)
	s.Connect()
	return server
}

// Connect waits until the server takes a connection.
func (s *Site) Connect() {
	s.T.Helper()
	var nc *nats.Conn
	testproc.WaitFor(s.T, "NATS server", func() (up bool) {
		var err error
		nc, err = nats.Connect(s.NATSURL, s.Login, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
		return err == nil
	})
	s.T.Cleanup(nc.Close)
	var err error
	if s.JS, err = jetstream.New(nc); err != nil {
		s.T.Fatal(err)
	}
}

// Env is the environment of a worker at the site.
func (s *Site) Env(more ...string) []string {
	return append([]string{
		"NATS_URL=" + s.NATSURL, "AUTHLETE_BASE_URL=" + s.APIURL, "AUTHLETE_SERVICE_ID=" + ServiceID, "AUTHLETE_BEARER=" + Token,
		"REVOKER_OPS_ADDR=127.0.0.1:0", "REVOKER_RETRY_INITIAL_INTERVAL=200ms", "REVOKER_LOG_LEVEL=debug",
	}, more...)
}

// StartWorker runs `revoker run` and waits until it works.
func (s *Site) StartWorker(more ...string) *testproc.Process {
	s.T.Helper()
	p := testproc.Start(s.T, s.Env(more...), testproc.Binary(s.T, "revoker"), "run")
	testproc.WaitFor(s.T, "worker", func() bool {
		if !p.Running() {
			s.T.Fatalf("the worker ended:\n%s", p.Stderr.String())
		}
		return strings.Contains(p.Stderr.String(), `"msg":"working"`)
	})
	return p
}

// Publish stores one live event for each session, which ends with its number, and PublishBulk one bulk event.
func (s *Site) Publish(from, to int) {
	s.T.Helper()
	s.publish("session.ended", from, to)
}

func (s *Site) PublishBulk(from, to int) {
	s.T.Helper()
	s.publish("session.ended.bulk", from, to)
}

func (s *Site) publish(subject string, from, to int) {
	s.T.Helper()
	for i := from; i < to; i++ {
		s.send(subject, i)
	}
	select {
	case <-s.JS.PublishAsyncComplete():
	case <-time.After(testproc.Timeout):
		s.T.Fatal("the events were not stored")
	}
}

// PublishOne sends one live event, without waiting for its acknowledgement; with too many of those outstanding it waits.
func (s *Site) PublishOne(i int) {
	s.T.Helper()
	s.send("session.ended", i)
}

func (s *Site) send(subject string, i int) {
	s.T.Helper()
	for began := time.Now(); ; {
		_, err := s.JS.PublishAsync(subject, fmt.Appendf(nil, `{"sessionId":"SECRET-session-%d"}`, i))
		if err == nil {
			return
		}
		if !errors.Is(err, jetstream.ErrTooManyStalledMsgs) || time.Since(began) > testproc.Timeout {
			s.T.Fatal(err)
		}
	}
}

// Deadline is a context for one request.
func (s *Site) Deadline() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testproc.Timeout)
	s.T.Cleanup(cancel)
	return ctx
}

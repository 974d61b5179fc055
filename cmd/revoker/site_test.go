package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/worker/authlete/sim"
)

// simulatorVariable holds the JSON of simulator, for the process that is to be the API.
const simulatorVariable = "SIMULATED_API"

// simulator is what the simulated API's process is told.
type simulator struct {
	Latency, Jitter time.Duration
	// Of all sessions, told apart by the end of their ID: the share that answers SERVER_ERROR three times, and CALLER_ERROR.
	Failing, Bad int // percent
	// Of the first 2 × Crowd sessions every other one answers SERVER_ERROR for ever.
	Crowd int
}

const (
	testToken   = "SECRET-token"
	testService = "1234567890"
)

// number is what a session of this test ends with.
func number(id string) (n int) {
	_, _ = fmt.Sscanf(id[strings.LastIndexByte(id, '-')+1:], "%d", &n)
	return n
}

// hopeless tells whether a session is one of the crowd.
func (s simulator) hopeless(id string) bool { return number(id) < 2*s.Crowd && number(id)%2 == 0 }

// kind tells how a session of this test answers.
func (s simulator) kind(id string) sim.Kind {
	switch n := number(id) % 100; {
	case s.hopeless(id):
		return sim.ServerError
	case n < s.Failing:
		return sim.ServerError
	case n < s.Failing+s.Bad:
		return sim.CallerError
	}
	return sim.OK
}

const failures = 3 // of a failing session, before OK

// simulate is the simulated API's process; it ends with its standard input.
func simulate(options string, in io.Reader, out io.Writer) int {
	var s simulator
	if err := json.Unmarshal([]byte(options), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	api, err := sim.Start(sim.Options{
		Token: testToken, Services: []string{testService}, Tokens: 2, Latency: s.Latency, Jitter: s.Jitter,
		Rule: func(id string, attempt int) sim.Answer {
			kind := s.kind(id)
			if kind == sim.ServerError && attempt > failures && !s.hopeless(id) {
				kind = sim.OK
			}
			return sim.Answer{Kind: kind}
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer api.Close()
	fmt.Fprintln(out, api.URL())
	_, _ = io.Copy(io.Discard, in)
	return 0
}

// site is a NATS server and an API, each a process, and what it takes to run workers between them.
type site struct {
	t         testing.TB
	natsURL   string
	apiURL    string
	sim       simulator
	store     string      // the NATS server's
	login     nats.Option // of the test itself
	js        jetstream.JetStream
	server    string              // another NATS server than that of go.mod
	serverEnv []string            // of servers whose configuration has variables
	edit      func(string) string // of the configuration; may be nil
}

func newSite(t testing.TB, s simulator) *site {
	t.Helper()
	options, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	api := start(t, []string{simulatorVariable + "=" + string(options)}, os.Args[0])
	waitFor(t, "simulated API", func() bool { return strings.HasSuffix(api.stdout.String(), "\n") })
	site := &site{
		t: t, sim: s, apiURL: strings.TrimSpace(api.stdout.String()), store: t.TempDir(),
		natsURL: fmt.Sprintf("nats://127.0.0.1:%d", freePort(t)), login: nats.UserInfo("admin", "admin"),
	}
	return site
}

// startNATS starts the server, on the site's port and store; more are further arguments.
func (s *site) startNATS(more ...string) *process {
	s.t.Helper()
	port := s.natsURL[strings.LastIndexByte(s.natsURL, ':')+1:]
	program := s.server
	if program == "" {
		program = binary(s.t, "nats-server")
	}
	server := start(s.t, nil, program, append([]string{"--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", s.store}, more...)...)
	s.connect()
	return server
}

// connect waits until the server takes a connection.
func (s *site) connect() {
	s.t.Helper()
	var nc *nats.Conn
	waitFor(s.t, "NATS server", func() (up bool) {
		var err error
		nc, err = nats.Connect(s.natsURL, s.login, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
		return err == nil
	})
	s.t.Cleanup(nc.Close)
	var err error
	if s.js, err = jetstream.New(nc); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) env(more ...string) []string {
	return append([]string{
		"NATS_URL=" + s.natsURL, "AUTHLETE_BASE_URL=" + s.apiURL, "AUTHLETE_SERVICE_ID=" + testService, "AUTHLETE_BEARER=" + testToken,
		"REVOKER_OPS_ADDR=127.0.0.1:0", "REVOKER_RETRY_INITIAL_INTERVAL=200ms", "REVOKER_LOG_LEVEL=debug",
	}, more...)
}

// startWorker runs `revoker run` and waits until it works.
func (s *site) startWorker(more ...string) *process {
	s.t.Helper()
	p := start(s.t, s.env(more...), binary(s.t, "revoker"), "run")
	waitFor(s.t, "worker", func() bool {
		if !p.running() {
			s.t.Fatalf("the worker ended:\n%s", p.stderr.String())
		}
		return strings.Contains(p.stderr.String(), `"msg":"working"`)
	})
	return p
}

// publish stores one event for each session, which ends with its number.
func (s *site) publish(from, to int) {
	s.t.Helper()
	for i := from; i < to; i++ {
		s.publishOne(i)
	}
	select {
	case <-s.js.PublishAsyncComplete():
	case <-time.After(testTimeout):
		s.t.Fatal("the events were not stored")
	}
}

// publishOne sends one event, without waiting for its acknowledgement; with too many of those outstanding it waits.
func (s *site) publishOne(i int) {
	s.t.Helper()
	for began := time.Now(); ; {
		_, err := s.js.PublishAsync("session.ended", fmt.Appendf(nil, `{"sessionId":"SECRET-session-%d"}`, i))
		if err == nil {
			return
		}
		if !errors.Is(err, jetstream.ErrTooManyStalledMsgs) || time.Since(began) > testTimeout {
			s.t.Fatal(err)
		}
	}
}

func (s *site) deadline() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	s.t.Cleanup(cancel)
	return ctx
}

func (s *site) info() *jetstream.ConsumerInfo {
	s.t.Helper()
	consumer, err := s.js.Consumer(s.deadline(), "SESSIONS", "revoker")
	if err != nil {
		s.t.Fatal(err)
	}
	return consumer.CachedInfo()
}

// waitDone waits until every event of the stream is settled. The number pending alone would not do: it lags behind the
// stream.
func (s *site) waitDone() {
	s.t.Helper()
	stream, err := s.js.Stream(s.deadline(), "SESSIONS")
	if err != nil {
		s.t.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	waitFor(s.t, "end of the backlog", func() bool {
		info := s.info()
		return info.Delivered.Stream >= last && info.NumPending == 0 && info.NumAckPending == 0
	})
}

// control steers the API's process.
func (s *site) control(method, path string, body any) {
	s.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := http.NewRequest(method, s.apiURL+path, bytes.NewReader(encoded))
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
}

// sessions asks the API's process what it saw of each session.
func (s *site) sessions() (sessions map[string]sim.Session) {
	s.t.Helper()
	s.ask("/sim/sessions", &sessions)
	return sessions
}

// calls asks the API's process how many calls began.
func (s *site) calls() (n int) {
	s.t.Helper()
	s.ask("/sim/calls", &n)
	return n
}

func (s *site) ask(path string, answer any) {
	s.t.Helper()
	response, err := http.Get(s.apiURL + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		s.t.Fatal(err)
	}
}

// deadLetters counts the dead letters by payload, and fails for any that has not the reason.
func (s *site) deadLetters(reason string) map[string]int {
	s.t.Helper()
	stream, err := s.js.Stream(s.deadline(), "SESSIONS_DLQ")
	if err != nil {
		s.t.Fatal(err)
	}
	letters := map[string]int{}
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; state.Msgs > 0 && sequence <= state.LastSeq; sequence++ {
		msg, err := stream.GetMsg(s.deadline(), sequence)
		if err != nil {
			s.t.Fatal(err)
		}
		if got := msg.Header.Get("Revoker-Reason"); got != reason {
			s.t.Errorf("a dead letter for %q, want %q", got, reason)
		}
		letters[string(msg.Data)]++
	}
	return letters
}

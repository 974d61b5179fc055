package receive

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"revoker/config"
	"revoker/events/internal/eventstest"
	"revoker/internal/testissuer"
	"revoker/internal/testproc"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

const token = "SECRET-token-of-senders"

// site is a server with a stream behind it.
type site struct {
	*eventstest.Harness
	t      *testing.T
	server *Server
	issuer *testissuer.Issuer
	client *http.Client
	stop   func() // the server, as SIGTERM does
}

// newSite starts everything. Changes are made to the configuration before.
func newSite(t *testing.T, change func(*config.Config)) *site {
	t.Helper()
	s := &site{Harness: eventstest.New(t), t: t, issuer: testissuer.New(t), client: &http.Client{Transport: &http.Transport{}}}
	s.CreateStream(t, jetstream.StreamConfig{Name: s.Cfg.Stream, Subjects: []string{s.Cfg.Subject}})
	s.Cfg.Receive.Addr, s.Cfg.Receive.OpsAddr = "127.0.0.1:0", "127.0.0.1:0"
	s.Cfg.Receive.Token = config.NewSecret(token)
	if change != nil {
		change(&s.Cfg)
	}
	s.serve(s.issuers())
	return s
}

func (s *site) issuers() []config.Issuer {
	return []config.Issuer{{Name: "login", URL: s.issuer.URL, ClientIDs: []string{"other", testissuer.ClientID}, ServiceID: "77"}}
}

func (s *site) create(cfg config.Config, issuers ...config.Issuer) (*Server, error) {
	return New(cfg, issuers, s.Conn, prometheus.NewRegistry(), slog.New(s.Log))
}

func (s *site) serve(issuers []config.Issuer) {
	s.t.Helper()
	var err error
	if s.server, err = s.create(s.Cfg, issuers...); err != nil {
		s.t.Fatal(err)
	}
	// Senders that are slow for a test must not be cut off where the machine is slow, too.
	s.server.signals.http.ReadTimeout, s.server.signals.http.WriteTimeout = testproc.Timeout, testproc.Timeout
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	stop, ended, server := s.stop, make(chan error, 1), s.server
	go func() { ended <- server.Run(ctx) }()
	s.t.Cleanup(func() {
		s.client.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

// reply is what a request was answered.
type reply struct {
	status int
	header http.Header
	body   string
	refusal
	accepted
}

// post sends a body with header lines, "Name: value".
func (s *site) post(path, body string, lines ...string) reply {
	s.t.Helper()
	request, err := http.NewRequestWithContext(eventstest.Deadline(s.t), http.MethodPost, "http://"+s.server.Address()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range lines {
		if name, value, found := strings.Cut(line, ": "); found {
			request.Header.Set(name, value)
		}
	}
	return s.do(request)
}

func (s *site) do(request *http.Request) (r reply) {
	s.t.Helper()
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.status, r.header, r.body = response.StatusCode, response.Header, string(body)
	if len(body) > 0 && strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(body, &r.refusal); err != nil {
			s.t.Fatalf("%v in %s", err, body)
		}
		if err := json.Unmarshal(body, &r.accepted); err != nil {
			s.t.Fatalf("%v in %s", err, body)
		}
	}
	return r
}

// events posts a body to /events with the token.
func (s *site) events(body string, lines ...string) reply {
	s.t.Helper()
	return s.post("/events", body, append([]string{"Authorization: Bearer " + token}, lines...)...)
}

// logout posts a logout token.
func (s *site) logout(token string) reply {
	s.t.Helper()
	return s.post("/backchannel-logout", url.Values{"logout_token": {token}}.Encode(), "Content-Type: application/x-www-form-urlencoded")
}

// stored are the messages of the stream.
func (s *site) stored() (messages []*jetstream.RawStreamMsg) {
	s.t.Helper()
	stream, err := s.JS.Stream(eventstest.Deadline(s.t), s.Cfg.Stream)
	if err != nil {
		s.t.Fatal(err)
	}
	state := stream.CachedInfo().State
	for sequence := max(state.FirstSeq, 1); sequence <= state.LastSeq; sequence++ {
		msg, err := stream.GetMsg(eventstest.Deadline(s.t), sequence)
		if err != nil {
			s.t.Fatal(err)
		}
		messages = append(messages, msg)
	}
	return messages
}

// storedAre fails unless the stream has exactly these payloads.
func (s *site) storedAre(want ...string) {
	s.t.Helper()
	var have []string
	for _, msg := range s.stored() {
		have = append(have, string(msg.Data))
	}
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		s.t.Errorf("the stream has\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

// ops asks the listener for operators.
func (s *site) ops(path string) (status int, body string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(eventstest.Deadline(s.t), http.MethodGet, "http://"+s.server.OpsAddress()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r := s.do(request)
	return r.status, r.body
}

func (s *site) scrape() string {
	s.t.Helper()
	_, body := s.ops("/metrics")
	return body
}

// counts waits for a series to have a value.
func (s *site) counts(series string, value string) {
	s.t.Helper()
	testproc.WaitFor(s.t, series+" of "+value, func() bool { return strings.Contains(s.scrape(), "\n"+series+" "+value+"\n") })
}

// silent fails if a secret is in the log or the metrics.
func (s *site) silent(secrets ...string) {
	s.t.Helper()
	said := strings.Join(s.Log.Lines(), "\n") + s.scrape()
	for _, secret := range append(secrets, "SECRET") {
		if strings.Contains(said, secret) {
			s.t.Errorf("%q is in the log or the metrics:\n%s", secret, said)
		}
	}
}

// write makes a file of the test's own.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

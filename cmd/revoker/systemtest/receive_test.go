package systemtest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"revoker/events/admin"
	"revoker/internal/testissuer"
	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

const receiveToken = "SECRET-token-of-senders"

// startReceiver runs `revoker receive` at an address, for POST /events and for the issuers of a JSON array, and waits until it takes
// signals.
func startReceiver(s *testsite.Site, address, issuers string, more ...string) *testproc.Process {
	s.T.Helper()
	env := append([]string{
		"NATS_URL=" + s.NATSURL, "REVOKER_RECEIVE_ADDR=" + address, "REVOKER_RECEIVE_OPS_ADDR=127.0.0.1:0", "REVOKER_RECEIVE_TOKEN=" + receiveToken,
		"REVOKER_LOG_LEVEL=debug",
	}, more...)
	if issuers != "" {
		env = append(env, "REVOKER_RECEIVE_ISSUERS_FILE="+issuersFile(s.T, issuers))
	}
	p := testproc.Start(s.T, env, testproc.Binary(s.T, "revoker"), "receive")
	testproc.WaitFor(s.T, "receiver", func() bool {
		if !p.Running() {
			s.T.Fatalf("the receiver ended:\n%s", p.Stderr.String())
		}
		return strings.Contains(p.Stderr.String(), `"msg":"receiving signals"`) && strings.Contains(p.Stderr.String(), `"msg":"connected to NATS"`)
	})
	return p
}

// senders send signals, each for a session of its own, to whoever listens at an address, and keep which were answered with success.
type senders struct {
	t       *testing.T
	address string
	issuer  *testissuer.Issuer
	client  *http.Client
	stop    chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	accepted map[string]bool
	failed   int
}

func startSenders(t *testing.T, address string, issuer *testissuer.Issuer, n int) *senders {
	t.Helper()
	s := &senders{
		t: t, address: address, issuer: issuer, stop: make(chan struct{}), accepted: map[string]bool{},
		client: &http.Client{Timeout: testproc.Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: n}},
	}
	for sender := range n {
		s.running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-s.stop:
					return
				default:
					s.send(fmt.Sprintf("SECRET-%d-%d", sender, i), i%2 == 0)
				}
			}
		})
	}
	return s
}

// send sends one signal.
func (s *senders) send(session string, asToken bool) {
	path, body, kind := "/events", fmt.Sprintf(`{"sessionId":%q}`, session), "application/json"
	if asToken {
		path, kind = "/backchannel-logout", "application/x-www-form-urlencoded"
		body = "logout_token=" + s.issuer.Token(session)
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Authorization", "Bearer "+receiveToken)
	response, err := s.client.Do(request)
	if err == nil {
		response.Body.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && (response.StatusCode == http.StatusOK || response.StatusCode == http.StatusAccepted) {
		s.accepted[session] = true
		return
	}
	s.failed++
	if err == nil && response.StatusCode != http.StatusServiceUnavailable {
		s.t.Errorf("%s: %s", session, response.Status)
	}
}

// counts are how many signals were answered with success, and how many not.
func (s *senders) counts() (accepted, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accepted), s.failed
}

// more waits for n further successes.
func (s *senders) more(n int) {
	s.t.Helper()
	before, _ := s.counts()
	testproc.WaitFor(s.t, "accepted signals", func() bool {
		accepted, _ := s.counts()
		return accepted >= before+n
	})
}

func (s *senders) end() {
	close(s.stop)
	s.running.Wait()
	s.client.CloseIdleConnections()
}

// A receiver and a NATS server are killed while signals are on their way. Each signal that was answered with success is stored.
func TestNoAcceptedSignalIsLost(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	server := s.StartNATS()
	s.Says(0, nil, []string{"setup", "--yes"})
	issuer := testissuer.New(t)
	address := testport.Address(t)
	issuers := fmt.Sprintf(`[{"name":"login","issuer":%q,"clientIds":[%q]}]`, issuer.URL, testissuer.ClientID)
	receiver := startReceiver(s, address, issuers)
	logs := []*testproc.Process{receiver}
	sending := startSenders(t, address, issuer, 8)
	for round := range 3 {
		sending.more(200)
		receiver.Kill()
		receiver = startReceiver(s, address, issuers)
		logs = append(logs, receiver)
		sending.more(200)
		if round == 1 {
			// As providers do: the old key stays published, for the tokens that are on their way.
			rotated := testissuer.NewKey(t, "rotated")
			issuer.Publish(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{issuer.Key().JWK(), rotated.JWK()}})
			issuer.Use(rotated)
			sending.more(200)
		}
		server.Kill()
		server = s.StartNATS()
	}
	sending.more(200)
	sending.end()
	stored := storedSessions(s)
	accepted, failed := sending.counts()
	for session := range sending.accepted {
		if stored[session] == 0 {
			t.Errorf("%s was accepted and is not stored", session)
		}
	}
	if accepted < 1400 || failed == 0 {
		t.Errorf("%d accepted and %d failed: nothing was tested", accepted, failed)
	}
	for _, log := range logs {
		if text := log.Stderr.String(); strings.Contains(text, "SECRET") || strings.Contains(text, "eyJ") {
			t.Error("a session ID or a token is in the log")
		}
	}
	receiver.Signal(syscall.SIGTERM)
	if code := receiver.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// The receiver needs no more than the publisher's identity.
func TestTheReceiverIsAPublisher(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	startOneServer(s)
	s.Says(0, identity("setup"), []string{"setup"})
	address := testport.Address(t)
	receiver := startReceiver(s, address, "", identity("publisher")...)
	sending := startSenders(t, address, testissuer.New(t), 0)
	sending.send("SECRET-session", false)
	if accepted, _ := sending.counts(); accepted != 1 {
		t.Error("the signal was not accepted")
	}
	if log := strings.ToLower(receiver.Stderr.String()); strings.Contains(log, "permission") {
		t.Errorf("a permission is missing:\n%s", log)
	}
}

func TestReceiveWithAWrongConfiguration(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	wrong := filepath.Join(folder, "issuers.json")
	if err := os.WriteFile(wrong, []byte(`[{"name":"login","issuer":"http://login.example","clientIds":["app"]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, env := range map[string][]string{
		"nothing to receive":                       nil,
		"REVOKER_RECEIVE_TOKEN_FILE: can't read":   {"REVOKER_RECEIVE_TOKEN_FILE=" + folder + "/none"},
		"REVOKER_RECEIVE_ISSUERS_FILE: can't read": {"REVOKER_RECEIVE_ISSUERS_FILE=" + folder + "/none"},
		"issuer 1: issuer: must be https://":       {"REVOKER_RECEIVE_ISSUERS_FILE=" + wrong},
		"REVOKER_RECEIVE_TOKEN: must have":         {"REVOKER_RECEIVE_TOKEN=SECRET"},
		"REVOKER_RECEIVE_TOKENS: no such vari":     {"REVOKER_RECEIVE_TOKENS=SECRET"},
	} {
		p := testproc.Start(t, env, testproc.Binary(t, "revoker"), "receive")
		if code := p.Wait(); code != 78 || !strings.Contains(p.Stderr.String(), want) || strings.Contains(p.Stderr.String(), "SECRET") {
			t.Errorf("%v: exit code %d, %s", env, code, p.Stderr.String())
		}
	}
}

// `check --receive` tries what the receiver needs, as the publisher, and each issuer.
func TestCheckingTheReceiver(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	startOneServer(s)
	s.Says(0, identity("setup"), []string{"setup"})
	good, plain, away := testissuer.New(t), testissuer.New(t), testissuer.New(t)
	plain.Describe("backchannel_logout_session_supported", nil)
	away.Away(true)
	env := append(identity("publisher"), "REVOKER_RECEIVE_ISSUERS_FILE="+issuersFile(t, fmt.Sprintf(
		`[{"name":"good","issuer":%q,"clientIds":["app"]},{"name":"plain","issuer":%q,"clientIds":["app"]},{"name":"away","issuer":%q,"clientIds":["app"]}]`,
		good.URL, plain.URL, away.URL)))
	findings := s.Check(1, env, "--receive")
	for name, want := range map[string]struct {
		state  admin.State
		detail string
	}{
		"configuration":         {admin.OK, "every variable"},
		"keys of issuer good":   {admin.OK, "1 key, for RS256, ES256, EdDSA"},
		"keys of issuer plain":  {admin.Warning, "does not say that its logout tokens have a sid"},
		"keys of issuer away":   {admin.Failed, "answered 502"},
		"NATS connection":       {admin.OK, "connected"},
		"permission to publish": {admin.OK, "session.ended is stored by SESSIONS"},
	} {
		if f := findings[name]; f.State != want.state || !strings.Contains(f.Detail, want.detail) || (f.State == admin.OK) != (f.Remedy == "") {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if s.Count() != 0 {
		t.Error("it stored something")
	}
	if f := s.Check(1, append(env, "REVOKER_STREAM=OTHER"), "--receive")["permission to publish"]; f.State != admin.Failed {
		t.Errorf("another stream: %+v", f)
	}
	if f := s.Check(1, append(env, "REVOKER_SUBJECT=other"), "--receive")["permission to publish"]; f.State != admin.Failed || !strings.Contains(f.Detail, "other") {
		t.Errorf("no permission: %+v", f)
	}
	s.Check(78, identity("publisher"), "--receive")
	if f := s.Check(1, append(identity("worker"), env[len(env)-1]))["keys of issuer away"]; f.State != admin.Failed {
		t.Errorf("a worker's check: %+v", f)
	}
}

func issuersFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "issuers.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The receiver's metrics are in the table of its page and on the dashboard, and what rules and dashboard name is there.
func TestMetricsOfAReceiver(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	issuer := testissuer.New(t)
	ops := testport.Address(t)
	startReceiver(s, "127.0.0.1:0", fmt.Sprintf(`[{"name":"login","issuer":%q,"clientIds":["app"]}]`, issuer.URL), "REVOKER_RECEIVE_OPS_ADDR="+ops)
	exposition := scrape(t, "http://"+ops)
	const page = "events/receive/README.md"
	if table := metricsTable(exposition); !strings.Contains(testproc.ReadFile(t, page), table) {
		t.Errorf("%s should have this table:\n%s", page, table)
	}
	dashboard, rules := testproc.ReadFile(t, "deploy/grafana/revoker.json"), testproc.ReadFile(t, "deploy/prometheus/revoker.rules.yml")
	own := regexp.MustCompile(`\brevoker_receive_[a-z_]+`)
	for _, name := range own.FindAllString(dashboard+rules, -1) {
		if !strings.Contains(exposition, "\n# TYPE "+strings.TrimSuffix(name, "_bucket")+" ") {
			t.Errorf("%s is named, and is not there", name)
		}
	}
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (revoker_receive_\w+) `).FindAllStringSubmatch(exposition, -1) {
		if !strings.Contains(dashboard, match[1]) {
			t.Errorf("no panel shows %s", match[1])
		}
	}
}

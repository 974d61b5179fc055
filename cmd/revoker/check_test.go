package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/worker/authlete"
)

// startWithoutJetStream starts a NATS server that has no JetStream.
func (s *site) startWithoutJetStream() {
	s.t.Helper()
	start(s.t, nil, binary(s.t, "nats-server"), "--addr", "127.0.0.1", "--port", s.natsURL[strings.LastIndexByte(s.natsURL, ':')+1:])
	waitFor(s.t, "NATS server", func() bool {
		nc, err := nats.Connect(s.natsURL)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
}

// check runs `revoker check` and returns the state of each finding, by the first words of its name.
func (s *site) check(code int, env []string, args ...string) map[string]events.Finding {
	s.t.Helper()
	out := s.says(code, s.env(env...), append([]string{"check", "--json"}, args...))
	var answer struct{ Findings []events.Finding }
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&answer); err != nil {
		s.t.Fatalf("%v in\n%s", err, out)
	}
	found := map[string]events.Finding{}
	for _, f := range answer.Findings {
		found[f.Name] = f
		if f.State != events.OK && f.State != events.Skipped && f.Remedy == "" {
			s.t.Errorf("nothing says how to mend %+v", f)
		}
	}
	return found
}

// wants holds findings against "name: state words".
func wants(t *testing.T, found map[string]events.Finding, state events.State, name, words string) {
	t.Helper()
	if f := found[name]; f.State != state || !strings.Contains(f.Detail+" "+f.Remedy, words) {
		t.Errorf("%s: %+v, want %s and %q", name, f, state, words)
	}
}

const answering = "API answer for service " + testService

// It is sound, and whatever is checked is as it was before, an event that waits and its consumer included.
func TestCheckChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	s.startNATS()
	wants(t, s.check(0, nil), events.Warning, "consumer revoker", "it is missing")
	s.says(0, nil, []string{"setup"})
	s.publish(0, 3)
	waitFor(t, "the backlog", func() bool { return s.info().NumPending == 3 })
	seen := make(chan *nats.Msg, 10)
	if _, err := s.js.Conn().ChanSubscribe("dlq.>", seen); err != nil {
		t.Fatal(err)
	}
	s.says(0, s.env(), []string{"check"}, "0 warnings, 0 failed", "the token is accepted", "permission to pull")
	for name, f := range s.check(0, nil) {
		if f.State != events.OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
	info := s.info()
	if info.NumPending != 3 || info.NumAckPending != 0 || info.NumWaiting != 0 || info.Delivered.Consumer != 0 || info.AckFloor.Consumer != 0 {
		t.Errorf("the consumer: %+v", info)
	}
	letters, err := s.js.Stream(s.deadline(), "SESSIONS_DLQ")
	if err != nil || letters.CachedInfo().State.LastSeq != 0 {
		t.Errorf("the dead-letter stream: %v %+v", err, letters.CachedInfo().State)
	}
	if probe := <-seen; len(probe.Data) != 0 || probe.Header.Get("Revoker-Check") == "" {
		t.Errorf("the probe: %q %v", probe.Data, probe.Header)
	}
	for id, session := range s.sessions() {
		t.Errorf("session %q was called: %+v", id, session)
	}
}

func TestCheckOfTheAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	s.startNATS()
	s.says(0, nil, []string{"setup"})
	wants(t, s.check(1, []string{"AUTHLETE_BEARER=SECRET-other"}), events.Failed, answering, "look at AUTHLETE_BEARER")
	wants(t, s.check(1, []string{"AUTHLETE_SERVICE_ID=4711"}), events.Failed, "API answer for service 4711", "look at AUTHLETE_SERVICE_ID")
	wants(t, s.check(1, []string{"REVOKER_ALLOWED_SERVICE_IDS=4711"}), events.Failed, "API answer for service 4711", "REVOKER_ALLOWED_SERVICE_IDS")
	wants(t, s.check(1, []string{"AUTHLETE_BASE_URL=http://127.0.0.1:1"}), events.Failed, "API host", "connection refused")
	wants(t, s.check(1, []string{"AUTHLETE_BASE_URL=https://nowhere.invalid"}), events.Failed, "API host", "look at AUTHLETE_BASE_URL")
	wants(t, s.check(1, []string{"AUTHLETE_BASE_URL=https://" + strings.TrimPrefix(s.apiURL, "http://")}), events.Failed, "API encryption", "SSL_CERT_FILE")
	wants(t, s.check(exitConfiguration, []string{"AUTHLETE_BEARER="}), events.Failed, "configuration", "AUTHLETE_BEARER: required")
	wants(t, s.check(0, []string{"REVOKER_REQUEST_TIMEOUT=1m"}), events.Warning, "timing", "REVOKER_DRAIN_TIMEOUT")
	session := events.SessionID("SECRET-session-1")
	wants(t, s.check(0, nil, "--call", string(session)), events.OK, "logout of session "+session.Mask(), "2 tokens deleted")
	if calls := s.sessions()[string(session)].Calls; len(calls) != 1 {
		t.Errorf("%d calls", len(calls))
	}
	p := start(t, s.env(), binary(t, "revoker"), "check", "--call", "-")
	_, _ = p.stdin.Write([]byte("SECRET-session-2\n"))
	p.stdin.Close()
	if code := p.wait(); code != 0 || len(s.sessions()["SECRET-session-2"].Calls) != 1 || strings.Contains(p.stdout.String(), "SECRET") {
		t.Errorf("exit code %d, %s", code, p.stdout.String())
	}
	if len(s.sessions()) != 2 {
		t.Errorf("%d sessions were called", len(s.sessions()))
	}
}

func TestWhatAnAnswerTells(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		response authlete.Response
		err      error
		state    events.State
		remedy   string
	}{
		"refused for the session": {authlete.Response{Status: 400, Action: authlete.ActionCallerError}, nil, events.OK, ""},
		"taken":                   {authlete.Response{Status: 200, Action: authlete.ActionOK}, nil, events.OK, ""},
		"another 400":             {authlete.Response{Status: 400, ResultCode: "A001101"}, nil, events.Warning, "--call SESSION_ID"},
		"no token":                {authlete.Response{Status: 401}, nil, events.Failed, "AUTHLETE_BEARER"},
		"not this service's":      {authlete.Response{Status: 403}, nil, events.Failed, "REVOKER_ALLOWED_SERVICE_IDS"},
		"redirected":              {authlete.Response{Status: 302}, nil, events.Failed, "AUTHLETE_BASE_URL"},
		"server error":            {authlete.Response{Status: 500, Action: authlete.ActionServerError}, nil, events.Failed, "events wait"},
		"gateway":                 {authlete.Response{Status: 503}, nil, events.Failed, "events wait"},
		"nothing":                 {authlete.Response{}, errors.New("no whole answer within 10s"), events.Failed, "events wait"},
	} {
		f := judgeAnswer("4711", "REVOKER_ALLOWED_SERVICE_IDS", authlete.Probe{Response: c.response, Err: c.err})
		if f.State != c.state || !strings.Contains(f.Remedy, c.remedy) || f.State != events.OK && f.Remedy == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// Whatever the API answers, the session stays masked.
func TestACallGivesNoSessionAway(t *testing.T) {
	t.Parallel()
	const session = "SECRET-session-that-is-longer-than-what-is-kept-of-a-code"
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct{ SessionID string }
		_ = json.NewDecoder(r.Body).Decode(&call)
		fmt.Fprintf(w, `{"action":"%[1]s","resultCode":"%[1]s","resultMessage":"%[1]s"}`, call.SessionID)
	}))
	t.Cleanup(api.Close)
	s := newSite(t, simulator{})
	env := s.env("AUTHLETE_BASE_URL="+api.URL, "NATS_URL=nats://127.0.0.1:1")
	s.says(1, env, []string{"check", "--call", session}, "logout of session "+events.SessionID(session).Mask(), "come to: retry")
	s.says(1, env, []string{"check", "--call", session, "--json"}, "come to: retry")
}

func TestACertificateThatEndsSoonIsWarnedOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for days, want := range map[int]events.State{100: events.OK, 10: events.Warning} {
		var list events.Findings
		probe := authlete.Probe{Addresses: []string{"192.0.2.1"}, TLS: tls.VersionTLS13, Expires: now.AddDate(0, 0, days)}
		cfg := config.Config{API: config.API{BaseURL: "https://api.example.com"}}
		if !checkWay(cfg, probe, now, &list) || list[1].State != want || !strings.Contains(list[1].Detail, "TLS 1.3") {
			t.Errorf("%d days: %+v", days, list)
		}
	}
}

func TestCheckOfNATS(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	found := s.check(1, nil)
	wants(t, found, events.Failed, "NATS connection", "NATS_URL")
	wants(t, found, events.OK, answering, "accepted") // goes on
	plain := newSite(t, simulator{})
	plain.startWithoutJetStream()
	wants(t, plain.check(1, nil), events.Failed, "JetStream", "enable JetStream")

	s.startNATS()
	s.foreign()
	found = s.check(1, nil)
	wants(t, found, events.Failed, "stream SESSIONS", "subjects is logins, not logins, session.ended")
	wants(t, found, events.Failed, "consumer revoker", "max deliver is 3, not unlimited")
	wants(t, found, events.Failed, "permission to dead-letter", "dlq.session.ended is stored by stream OTHERS, not SESSIONS_DLQ")
	s.says(exitConfiguration, append(s.env(), "REVOKER_TYPO=1"), []string{"check"}, "REVOKER_TYPO: no such variable", "0 ok, 0 warnings, 1 failed")
}

// foreign makes streams and consumer as somebody else might.
func (s *site) foreign() {
	s.t.Helper()
	for _, config := range []jetstream.StreamConfig{
		{Name: "SESSIONS", Subjects: []string{"logins"}},
		{Name: "SESSIONS_DLQ", Subjects: []string{"dlq.others"}},
		{Name: "OTHERS", Subjects: []string{"dlq.session.*"}},
	} {
		if _, err := s.js.CreateStream(s.deadline(), config); err != nil {
			s.t.Fatal(err)
		}
	}
	config := jetstream.ConsumerConfig{Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3}
	if _, err := s.js.CreateConsumer(s.deadline(), "SESSIONS", config); err != nil {
		s.t.Fatal(err)
	}
}

// Each permission that is missing is named, at once.
func TestCheckOfPermissions(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	s.restricted(`
		{user: idle, password: pw, permissions: {publish: ["$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.SESSIONS.revoker"], subscribe: "_INBOX.>"}}
		{user: boxless, password: pw, permissions: {subscribe: "nothing"}}
		{user: blind, password: pw, permissions: {publish: "nothing"}}`)
	found := s.check(1, asWorker)
	wants(t, found, events.Failed, "stream SESSIONS", "the account may not create it")
	wants(t, found, events.Failed, "consumer revoker", "$JS.API.CONSUMER.CREATE.SESSIONS.revoker.session.ended")
	s.says(0, asAdmin, []string{"setup"})
	for name, f := range s.check(0, asWorker) {
		if f.State != events.OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
	began := time.Now()
	found = s.check(1, []string{"NATS_USER=idle", "NATS_PASSWORD=pw"})
	for name, subject := range map[string]string{
		"permission to pull":        "$JS.API.CONSUMER.MSG.NEXT.SESSIONS.revoker",
		"permission to acknowledge": "$JS.ACK.SESSIONS.revoker.",
		"permission to dead-letter": "dlq.session.ended",
	} {
		wants(t, found, events.Failed, name, "publishing to "+subject)
	}
	const looking = "permission to look at streams and consumer"
	wants(t, s.check(1, []string{"NATS_USER=boxless", "NATS_PASSWORD=pw"}), events.Failed, looking, "subscribing to the inbox")
	wants(t, s.check(1, []string{"NATS_USER=blind", "NATS_PASSWORD=pw"}), events.Failed, looking, "publishing to $JS.API.STREAM.INFO.SESSIONS")
	t.Logf("three checks took %s", time.Since(began).Round(time.Millisecond))
	wants(t, s.check(1, []string{"NATS_USER=worker", "NATS_PASSWORD=SECRET"}), events.Failed, "NATS connection", "look at NATS_CREDS")
}

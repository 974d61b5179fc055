package systemtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/cmd/revoker/exit"
	"revoker/events"
	"revoker/events/admin"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// startWithoutJetStream starts a NATS server that has no JetStream.
func startWithoutJetStream(s *testsite.Site) {
	s.T.Helper()
	testproc.Start(s.T, nil, testproc.Binary(s.T, "nats-server"), "--addr", "127.0.0.1", "--port", s.NATSURL[strings.LastIndexByte(s.NATSURL, ':')+1:])
	testproc.WaitFor(s.T, "NATS server", func() bool {
		nc, err := nats.Connect(s.NATSURL)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
}

// wants holds findings against "name: state words".
func wants(t *testing.T, found map[string]admin.Finding, state admin.State, name, words string) {
	t.Helper()
	if f := found[name]; f.State != state || !strings.Contains(f.Detail+" "+f.Remedy, words) {
		t.Errorf("%s: %+v, want %s and %q", name, f, state, words)
	}
}

const answering = "API answer for service " + testsite.ServiceID

// It is sound, and whatever is checked is as it was before, an event that waits and its consumer included.
func TestCheckChangesNothing(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	wants(t, s.Check(0, nil), admin.Warning, "consumer revoker", "it is missing")
	s.Says(0, nil, []string{"setup"})
	s.Publish(0, 3)
	testproc.WaitFor(t, "the backlog", func() bool { return s.Info().NumPending == 3 })
	seen := make(chan *nats.Msg, 10)
	if _, err := s.JS.Conn().ChanSubscribe("dlq.>", seen); err != nil {
		t.Fatal(err)
	}
	s.Says(0, s.Env(), []string{"check"}, "0 warnings, 0 failed", "the token is accepted", "permission to pull")
	for name, f := range s.Check(0, nil) {
		if f.State != admin.OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
	info := s.Info()
	if info.NumPending != 3 || info.NumAckPending != 0 || info.NumWaiting != 0 || info.Delivered.Consumer != 0 || info.AckFloor.Consumer != 0 {
		t.Errorf("the consumer: %+v", info)
	}
	letters, err := s.JS.Stream(s.Deadline(), "SESSIONS_DLQ")
	if err != nil || letters.CachedInfo().State.LastSeq != 0 {
		t.Errorf("the dead-letter stream: %v %+v", err, letters.CachedInfo().State)
	}
	if probe := <-seen; len(probe.Data) != 0 || probe.Header.Get("Revoker-Check") == "" {
		t.Errorf("the probe: %q %v", probe.Data, probe.Header)
	}
	for id, session := range s.Sessions() {
		t.Errorf("session %q was called: %+v", id, session)
	}
}

func TestCheckOfTheAPI(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"})
	wants(t, s.Check(1, []string{"AUTHLETE_BEARER=SECRET-other"}), admin.Failed, answering, "look at AUTHLETE_BEARER")
	wants(t, s.Check(1, []string{"AUTHLETE_SERVICE_ID=4711"}), admin.Failed, "API answer for service 4711", "look at AUTHLETE_SERVICE_ID")
	wants(t, s.Check(1, []string{"REVOKER_ALLOWED_SERVICE_IDS=4711"}), admin.Failed, "API answer for service 4711", "REVOKER_ALLOWED_SERVICE_IDS")
	wants(t, s.Check(1, []string{"AUTHLETE_BASE_URL=http://127.0.0.1:1"}), admin.Failed, "API host", "connection refused")
	wants(t, s.Check(1, []string{"AUTHLETE_BASE_URL=https://nowhere.invalid"}), admin.Failed, "API host", "look at AUTHLETE_BASE_URL")
	wants(t, s.Check(1, []string{"AUTHLETE_BASE_URL=https://" + strings.TrimPrefix(s.APIURL, "http://")}), admin.Failed, "API encryption", "does not speak TLS")
	wants(t, s.Check(exit.CodeConfiguration, []string{"AUTHLETE_BEARER="}), admin.Failed, "configuration", "AUTHLETE_BEARER: required")
	wants(t, s.Check(0, []string{"REVOKER_REQUEST_TIMEOUT=1m"}), admin.Warning, "timing", "REVOKER_DRAIN_TIMEOUT")
	session := events.SessionID("SECRET-session-1")
	wants(t, s.Check(0, nil, "--call", string(session)), admin.OK, "logout of session "+session.Mask(), "2 tokens deleted")
	if calls := s.Sessions()[string(session)].Calls; len(calls) != 1 {
		t.Errorf("%d calls", len(calls))
	}
	p := testproc.Start(t, s.Env(), testproc.Binary(t, "revoker"), "check", "--call", "-")
	_, _ = p.Stdin.Write([]byte("SECRET-session-2\n"))
	p.Stdin.Close()
	if code := p.Wait(); code != 0 || len(s.Sessions()["SECRET-session-2"].Calls) != 1 || strings.Contains(p.Stdout.String(), "SECRET") {
		t.Errorf("exit code %d, %s", code, p.Stdout.String())
	}
	if len(s.Sessions()) != 2 {
		t.Errorf("%d sessions were called", len(s.Sessions()))
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
	s := testsite.New(t, testsite.Simulator{})
	env := s.Env("AUTHLETE_BASE_URL="+api.URL, "NATS_URL=nats://127.0.0.1:1")
	s.Says(1, env, []string{"check", "--call", session}, "logout of session "+events.SessionID(session).Mask(), "come to: retry")
	s.Says(1, env, []string{"check", "--call", session, "--json"}, "come to: retry")
}

func TestCheckOfNATS(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	found := s.Check(1, nil)
	wants(t, found, admin.Failed, "NATS connection", "NATS_URL")
	wants(t, found, admin.OK, answering, "accepted") // goes on
	plain := testsite.New(t, testsite.Simulator{})
	startWithoutJetStream(plain)
	wants(t, plain.Check(1, nil), admin.Failed, "JetStream", "NATS_JS_DOMAIN")

	s.StartNATS()
	foreign(s)
	found = s.Check(1, nil)
	wants(t, found, admin.Failed, "stream SESSIONS", "subjects are logins, not logins, session.ended")
	wants(t, found, admin.Failed, "consumer revoker", "max deliver is 3, not unlimited")
	wants(t, found, admin.Failed, "permission to dead-letter", "dlq.session.ended is stored by stream OTHERS, not SESSIONS_DLQ")
	if err := s.JS.DeleteStream(s.Deadline(), "SESSIONS_DLQ"); err != nil {
		t.Fatal(err)
	}
	found = s.Check(1, nil) // `revoker setup` could not create it
	wants(t, found, admin.Failed, "stream SESSIONS_DLQ", "it is missing, and stream OTHERS stores dlq.session.ended already")
	wants(t, found, admin.Failed, "stream SESSIONS_DLQ", "REVOKER_DEAD_LETTER_SUBJECT")
	s.Says(exit.CodeConfiguration, append(s.Env(), "REVOKER_TYPO=1"), []string{"check"}, "REVOKER_TYPO: no such variable", "0 ok, 0 warnings, 1 failed")
}

// foreign makes streams and consumer as somebody else might.
func foreign(s *testsite.Site) {
	s.T.Helper()
	for _, config := range []jetstream.StreamConfig{
		{Name: "SESSIONS", Subjects: []string{"logins"}},
		{Name: "SESSIONS_DLQ", Subjects: []string{"dlq.others"}},
		{Name: "OTHERS", Subjects: []string{"dlq.session.*"}},
	} {
		if _, err := s.JS.CreateStream(s.Deadline(), config); err != nil {
			s.T.Fatal(err)
		}
	}
	config := jetstream.ConsumerConfig{Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3}
	if _, err := s.JS.CreateConsumer(s.Deadline(), "SESSIONS", config); err != nil {
		s.T.Fatal(err)
	}
}

// Each permission that is missing is named, at once.
func TestCheckOfPermissions(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	restricted(s, `
		{user: idle, password: pw, permissions: {publish: ["$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.SESSIONS.revoker"], subscribe: "_INBOX.>"}}
		{user: boxless, password: pw, permissions: {subscribe: "nothing"}}
		{user: blind, password: pw, permissions: {publish: "nothing"}}`)
	found := s.Check(1, asWorker)
	wants(t, found, admin.Failed, "stream SESSIONS", "the account may not create it")
	wants(t, found, admin.Failed, "consumer revoker", "$JS.API.CONSUMER.CREATE.SESSIONS.revoker.session.ended")
	s.Says(0, asAdmin, []string{"setup"})
	for name, f := range s.Check(0, asWorker) {
		if f.State != admin.OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
	began := time.Now()
	found = s.Check(1, []string{"NATS_USER=idle", "NATS_PASSWORD=pw"})
	for name, subject := range map[string]string{
		"permission to pull":        "$JS.API.CONSUMER.MSG.NEXT.SESSIONS.revoker",
		"permission to acknowledge": "$JS.ACK.SESSIONS.revoker.",
		"permission to dead-letter": "dlq.session.ended",
	} {
		wants(t, found, admin.Failed, name, "publishing to "+subject)
	}
	const looking = "permission to look at streams and consumer"
	wants(t, s.Check(1, []string{"NATS_USER=boxless", "NATS_PASSWORD=pw"}), admin.Failed, "NATS connection", "NATS_INBOX_PREFIX")
	wants(t, s.Check(1, []string{"NATS_USER=blind", "NATS_PASSWORD=pw"}), admin.Failed, looking, "publishing to $JS.API.STREAM.INFO.SESSIONS")
	t.Logf("three checks took %s", time.Since(began).Round(time.Millisecond))
	wants(t, s.Check(1, []string{"NATS_USER=worker", "NATS_PASSWORD=SECRET"}), admin.Failed, "NATS connection", "look at NATS_USER and NATS_PASSWORD")
}

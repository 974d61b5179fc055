package receive

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

func TestAnEventIsStoredWithItsSource(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	const body = `{"sessionId":"SECRET-sid","serviceId":"5","endedAt":"2026-01-02T03:04:05.6Z","reason":"signed out","unknown":7}`
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r := s.events(body, "traceparent: "+trace, "tracestate: a=b", "Nats-Rollup: all")
	if r.status != http.StatusAccepted || r.body != "{\"accepted\":1,\"duplicates\":0}\n" || r.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%+v", r)
	}
	if r := s.events(body); r.status != http.StatusAccepted || r.Duplicates != 1 {
		t.Errorf("the same again: %+v", r)
	}
	s.storedAre(`{"sessionId":"SECRET-sid","serviceId":"5","endedAt":"2026-01-02T03:04:05.6Z","reason":"signed out"}`)
	have := s.stored()[0].Header
	want := map[string]string{
		events.SourceHeader: "receive", "traceparent": trace, "tracestate": "a=b", jetstream.ExpectedStreamHeader: "SESSIONS",
		jetstream.MsgIDHeader: events.Event{SessionID: "SECRET-sid", ServiceID: "5"}.MessageID(config.Live),
	}
	if len(have) != len(want) || events.Source(have) != "receive" {
		t.Errorf("got the header %v", have)
	}
	for name, value := range want {
		if values := have[name]; len(values) != 1 || values[0] != value {
			t.Errorf("%s: %v, want %s", name, values, value)
		}
	}
	s.counts(`revoker_receive_signals_total{result="accepted",source="receive"}`, "2")
	s.silent()
}

func TestTheBearerTokenIsNeeded(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for name, line := range map[string]string{
		"none": "X: y", "another": "Authorization: Bearer SECRET-token-of-other", "a part": "Authorization: Bearer " + token[:20],
		"more": "Authorization: Bearer " + token + "x", "another scheme": "Authorization: Basic " + token, "no scheme": "Authorization: " + token,
		"nothing": "Authorization: Bearer ",
	} {
		if r := s.post("/events", `{"sessionId":"a"}`, line); r.status != http.StatusUnauthorized || r.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	s.storedAre()
	s.counts(`revoker_receive_refusals_total{reason="bearer_token",source="receive"}`, "7")
	s.silent()
}

func TestAnEndpointThatIsNotConfiguredIsOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *config.Config) { cfg.Receive.Token = config.Secret{} })
	if r := s.events(`{"sessionId":"a"}`); r.status != http.StatusNotFound || r.Error != "not_enabled" {
		t.Errorf("%+v", r)
	}
	other := newSite(t, nil)
	other.serve(nil)
	if r := other.logout(other.issuer.Token("a")); r.status != http.StatusNotFound || r.Error != "not_enabled" {
		t.Errorf("%+v", r)
	}
}

// A token that rotates is taken up without a restart, and for a time both are good.
func TestTheTokenFileIsFollowed(t *testing.T) {
	t.Parallel()
	const second = "SECRET-second-token"
	path := write(t, token+"\n")
	s := newSite(t, func(cfg *config.Config) { cfg.Receive.Token, cfg.Receive.TokenFile = config.Secret{}, path })
	status := func(token string) int {
		return s.post("/events", `{"sessionId":"a"}`, "Authorization: Bearer "+token).status
	}
	replace := func(content string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	if status(token) != 202 || status(second) != 401 {
		t.Fatal("the first token is not the one that is good")
	}
	replace(token + "\n" + second + "\n")
	testproc.WaitFor(t, "the second token to be good too", func() bool { return status(second) == 202 })
	if status(token) != 202 {
		t.Error("the first is not good any more")
	}
	replace(second)
	testproc.WaitFor(t, "the first token not to be good", func() bool { return status(token) == 401 })
	replace("short")
	const refused = "the new tokens can't be used"
	testproc.WaitFor(t, "word of a token that is too short", func() bool {
		return status(second) == 202 && strings.Contains(strings.Join(s.Log.Lines(), "\n"), refused)
	})
	if n := strings.Count(strings.Join(s.Log.Lines(), "\n"), refused); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if status(second) != 202 {
		t.Error("no token is good while the file is away")
	}
	s.silent()
}

func cloudEvent(session string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"1","source":"urn:a","type":"session.ended","data":{"sessionId":%q}}`, session)
}

func TestCloudEventsOfAllModes(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for name, r := range map[string]reply{
		"binary":                 s.events(`{"sessionId":"a"}`, "Ce-Specversion: 1.0", "Ce-Id: 1", "Ce-Source: urn:a", "Ce-Type: session.ended", "Content-Type: application/json"),
		"structured":             s.events(cloudEvent("b"), "Content-Type: application/cloudevents+json; charset=utf-8"),
		"batched":                s.events("["+cloudEvent("c")+","+cloudEvent("d")+"]", "Content-Type: application/cloudevents-batch+json"),
		"without a content type": s.events(cloudEvent("e")),
	} {
		if r.status != http.StatusAccepted {
			t.Errorf("%s: %+v", name, r)
		}
	}
	s.has(5)
}

func TestWrongEventsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	const batch = "Content-Type: application/cloudevents-batch+json"
	index := func(i int) *int { return &i }
	for name, c := range map[string]struct {
		body   string
		line   string
		status int
		index  *int
		text   string
	}{
		"no JSON":              {`SECRET`, "", 400, index(0), "the payload is not valid JSON"},
		"empty":                {``, "", 400, index(0), "the payload is empty"},
		"no session ID":        {`{}`, "", 400, index(0), "the payload has no sessionId"},
		"a long session ID":    {`{"sessionId":"` + strings.Repeat("S", 1025) + `"}`, "", 400, index(0), "at most 1024"},
		"another type":         {strings.Replace(cloudEvent("a"), "session.ended", "SECRET", 1), "Content-Type: application/cloudevents+json", 400, index(0), "not of type session.ended"},
		"a long reason":        {`{"sessionId":"a","reason":"` + strings.Repeat("S", maxEvent+1) + `"}`, "", 400, index(0), "more than 65536 bytes"},
		"a large body":         {strings.Repeat(" ", maxEventsBody) + `{"sessionId":"a"}`, "", 413, nil, "too large"},
		"the third of a batch": {"[" + cloudEvent("a") + "," + cloudEvent("b") + "," + strings.Replace(cloudEvent("c"), "1.0", "0.3", 1) + "]", batch, 400, index(2), "not of version 1.0"},
		"an empty batch":       {"[]", batch, 400, nil, "empty"},
		"a batch of one":       {cloudEvent("a"), batch, 400, nil, "not a JSON array"},
		"a large batch":        {"[" + strings.Repeat("1,", maxBatch) + "1]", batch, 400, nil, "at most 1000"},
	} {
		r := s.events(c.body, c.line)
		if r.status != c.status || !strings.Contains(r.Description, c.text) || (r.Index == nil) != (c.index == nil) || c.index != nil && *r.Index != *c.index {
			t.Errorf("%s: %+v", name, r)
		}
		if strings.Contains(r.body, "SECRET") {
			t.Errorf("%s: what was sent is quoted: %s", name, r.body)
		}
	}
	s.storedAre()
	s.silent()
}

// A stream that refuses one event of a batch makes the sender send all of them again, and stores none of the others twice.
func TestABatchThatIsNotStoredWholeIsSentAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.limitMessages(2)
	const batch = "Content-Type: application/cloudevents-batch+json"
	body := "[" + cloudEvent("a") + "," + cloudEvent("b") + "," + cloudEvent("c") + "]"
	if r := s.events(body, batch); r.status != 503 || r.header.Get("Retry-After") != "5" || r.Error != "temporarily_unavailable" {
		t.Errorf("%+v", r)
	}
	s.limitMessages(-1)
	if r := s.events(body, batch); r.status != 202 || r.Accepted != 3 || r.Duplicates != 2 {
		t.Errorf("%+v", r)
	}
	s.has(3)
}

// A stream that never takes an event must not make its sender try for ever.
func TestAnEventThatTheStreamNeverTakesIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	if _, err := s.JS.UpdateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: s.Cfg.Stream, Subjects: []string{s.Cfg.Subject}, MaxMsgSize: 400}); err != nil {
		t.Fatal(err)
	}
	large := `{"sessionId":"a","reason":"` + strings.Repeat("S", 400) + `"}`
	if r := s.events(large); r.status != http.StatusRequestEntityTooLarge || r.Index == nil || *r.Index != 0 {
		t.Errorf("%+v", r)
	}
	batch := "[" + cloudEvent("b") + "," + cloudEvent("c") + "," + strings.Replace(cloudEvent("d"), `{"sessionId":"d"}`, large, 1) + "," + cloudEvent("e") + "]"
	if r := s.events(batch, "Content-Type: application/cloudevents-batch+json"); r.status != http.StatusRequestEntityTooLarge || r.Index == nil || *r.Index != 2 {
		t.Errorf("%+v", r)
	}
	s.has(0) // nor the others of the batch
	if r := s.events(`{"sessionId":"a"}`); r.status != http.StatusAccepted {
		t.Errorf("%+v", r)
	}
}

func (s *site) limitMessages(most int64) {
	s.t.Helper()
	if _, err := s.JS.UpdateStream(eventstest.Deadline(s.t), jetstream.StreamConfig{
		Name: s.Cfg.Stream, Subjects: []string{s.Cfg.Subject}, MaxMsgs: most, Discard: jetstream.DiscardNew,
	}); err != nil {
		s.t.Fatal(err)
	}
}

// Each way in which JetStream does not confirm.
func TestWhatIsNotConfirmedIsNotAccepted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*config.Config)
		prepare func(*site)
		logged  string
	}{
		"no stream": {nil, func(s *site) {
			if err := s.JS.DeleteStream(eventstest.Deadline(t), s.Cfg.Stream); err != nil {
				t.Fatal(err)
			}
		}, "no stream answers"},
		"another stream": {func(cfg *config.Config) { cfg.Stream = "OTHER" }, func(*site) {}, "REVOKER_STREAM"},
		"no server": {nil, func(s *site) {
			s.Server.Shutdown()
			testproc.WaitFor(t, "the end", func() bool { return !s.Conn.Connected() })
		}, "not connected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			if c.change != nil {
				c.change(&s.Cfg)
				s.serve(s.issuers())
			}
			c.prepare(s)
			if r := s.events(`{"sessionId":"SECRET"}`); r.status != 503 || r.header.Get("Retry-After") != "5" {
				t.Errorf("%+v", r)
			}
			if r := s.logout(s.issuer.Token("SECRET-sid")); r.status != 503 || r.header.Get("Retry-After") != "5" || r.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%+v", r)
			}
			if lines := strings.Join(s.Log.Lines(), "\n"); strings.Count(lines, c.logged) != 1 {
				t.Errorf("%q should be logged once:\n%s", c.logged, lines)
			}
			s.counts(`revoker_receive_signals_total{result="unavailable",source="receive"}`, "1")
			s.counts(`revoker_receive_signals_total{result="unavailable",source="login"}`, "1")
			s.silent()
		})
	}
}

package worker_test

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// Each answer is given once; after it the API answers OK.
func TestEachAnswerIsSettledAsItsOutcomeSays(t *testing.T) {
	t.Parallel()
	raw := func(status int, contentType, body string) sim.Answer {
		return sim.Answer{Kind: sim.Raw, Status: status, ContentType: contentType, Body: body}
	}
	const json = "application/json"
	for name, c := range map[string]struct {
		answer sim.Answer
		want   worker.Outcome
		log    string
	}{
		"OK":                       {sim.Answer{}, worker.Revoked, ""},
		"OK by another 2xx":        {raw(201, json, `{"action":"OK","count":1}`), worker.Revoked, ""},
		"SERVER_ERROR":             {sim.Answer{Kind: sim.ServerError}, worker.Retry, "SERVER_ERROR"},
		"SERVER_ERROR by 200":      {sim.Answer{Kind: sim.ServerError, Status: 200}, worker.Retry, "SERVER_ERROR"},
		"CALLER_ERROR":             {sim.Answer{Kind: sim.CallerError}, worker.CallerError, ""},
		"CALLER_ERROR by 200":      {sim.Answer{Kind: sim.CallerError, Status: 200}, worker.CallerError, ""},
		"400 without an action":    {sim.Answer{Kind: sim.BadRequest}, worker.Retry, "no action"},
		"500 without an action":    {sim.Answer{Kind: sim.BadRequest, Status: 500}, worker.Retry, "HTTP 500"},
		"407":                      {raw(407, "", ""), worker.Retry, "look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY"},
		"408":                      {raw(408, "", ""), worker.Retry, "HTTP 408"},
		"425":                      {raw(425, "", ""), worker.Retry, "HTTP 425"},
		"429 without Retry-After":  {sim.Answer{Kind: sim.TooMany}, worker.Retry, "HTTP 429"},
		"502":                      {raw(502, "text/html", "<html>"), worker.Retry, "HTTP 502"},
		"503":                      {sim.Answer{Kind: sim.Unavailable}, worker.Retry, "HTTP 503"},
		"504":                      {raw(504, "text/html", "<html>"), worker.Retry, "HTTP 504"},
		"HTML by 200":              {sim.Answer{Kind: sim.HTML}, worker.Retry, "no action"},
		"an empty body":            {sim.Answer{Kind: sim.Empty}, worker.Retry, "no action"},
		"an unknown action":        {raw(200, json, `{"action":"WHAT"}`), worker.Retry, "WHAT"},
		"OK by 500":                {raw(500, json, `{"action":"OK","count":2}`), worker.Retry, "HTTP 500"},
		"a cut connection":         {sim.Answer{Kind: sim.Cut}, worker.Retry, "calling the logout API"},
		"a cut body":               {sim.Answer{Kind: sim.CutBody}, worker.Retry, "reading the logout API's answer"},
		"no answer":                {sim.Answer{Kind: sim.Hang}, worker.Retry, "no whole answer within 5s"},
		"401":                      {sim.Answer{Kind: sim.Unauthorized}, worker.Misconfigured, "look at AUTHLETE_BEARER"},
		"403":                      {sim.Answer{Kind: sim.Forbidden}, worker.Misconfigured, "look at AUTHLETE_BEARER"},
		"404":                      {sim.Answer{Kind: sim.NotFound}, worker.Misconfigured, "look at AUTHLETE_SERVICE_ID"},
		"405":                      {sim.Answer{Kind: sim.WrongMethod}, worker.Misconfigured, "look at AUTHLETE_BASE_URL"},
		"415":                      {sim.Answer{Kind: sim.WrongType}, worker.Misconfigured, "look at AUTHLETE_BASE_URL"},
		"a redirect":               {sim.Answer{Kind: sim.Raw, Status: 302, Location: "/elsewhere"}, worker.Misconfigured, "look at AUTHLETE_BASE_URL"},
		"401 by a gateway's page":  {raw(401, "text/html", "<html>"), worker.Misconfigured, "look at AUTHLETE_BEARER"},
		"CALLER_ERROR by 401":      {sim.Answer{Kind: sim.CallerError, Status: 401}, worker.CallerError, ""},
		"429 and 503 ask for time": {sim.Answer{Kind: sim.Unavailable, RetryAfter: "1"}, worker.Retry, "the API limits the rate of calls"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sim.Options{Tokens: 2})
			// All other answers come, if late, on a machine that stands still for a moment.
			if b.cfg.RequestTimeout = time.Minute; c.answer.Kind == sim.Hang {
				b.cfg.RequestTimeout = 5 * time.Second
			}
			const id = "SECRET-session"
			b.api.Script(id, c.answer)
			b.start()
			b.publishSession(id)
			b.waitDone()
			b.check(id, c.want)
			if !strings.Contains(b.log.String(), c.log) {
				t.Errorf("no %q in the log:\n%s", c.log, b.log)
			}
			if strings.Contains(b.log.String(), "SECRET") {
				t.Errorf("a secret is in the log:\n%s", b.log)
			}
		})
	}
}

// check holds what the server and the API saw of a session against the outcome of its first attempt.
func (b *bench) check(id string, first worker.Outcome) {
	b.t.Helper()
	calls, want := b.api.Session(id).Calls, []worker.Outcome{first}
	again := first == worker.Retry || first == worker.Misconfigured
	if again {
		want = append(want, worker.Revoked)
	}
	// A settlement is told after it is sent, so the server may know it first.
	b.waitFor("settlements", func() bool {
		outcomes := slices.DeleteFunc(b.outcomes(id), func(o worker.Outcome) bool { return o == worker.Deferred })
		return slices.Equal(outcomes, want)
	})
	if b.revoked(id) != (first.Reason() == "" && (again || calls[0].Kind == sim.OK)) {
		b.t.Errorf("revoked: %v", b.revoked(id))
	}
	if letters := len(b.letters()); letters > 1 || (letters == 1) != (first.Reason() != "") {
		b.t.Errorf("%d dead letters", letters)
	}
	if !again {
		return
	}
	least := b.cfg.RetryInitialInterval / 2 // (1 − jitter) × interval
	if after := calls[0].Kind; calls[1].Began.Sub(calls[0].Ended) < least {
		b.t.Errorf("tried again %s after %q, want at least %s", calls[1].Began.Sub(calls[0].Ended), after, least)
	}
}

func TestRetryAfterIsHonouredWhereItIsLonger(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]func() string{
		"seconds": func() string { return "1" },
		// On a machine that stands still for a moment it must not be over when the answer is read.
		"date": func() string { return time.Now().Add(5 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		for _, kind := range []sim.Kind{sim.TooMany, sim.Unavailable} {
			t.Run(name+" "+string(kind), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, sim.Options{Rule: func(id string, attempt int) sim.Answer {
					if id == "first" && attempt == 1 {
						return sim.Answer{Kind: kind, RetryAfter: header()}
					}
					return sim.Answer{}
				}})
				b.setup()
				b.publishSession("first")
				b.start()
				b.waitFor("the refusal", func() bool { return b.log.count("the API limits the rate") == 1 })
				b.publishSession("second") // all calls wait, not only that of the event that was told to
				b.waitDone()
				told := b.api.Session("first").Calls[0].Ended
				for _, id := range []string{"first", "second"} {
					calls := b.api.Session(id).Calls
					if waited := calls[len(calls)-1].Began.Sub(told); waited < 900*time.Millisecond {
						t.Errorf("%s was called %s after the API asked for time", id, waited)
					}
				}
				if n := b.api.Calls(); n != 3 {
					t.Errorf("%d calls, want 3", n)
				}
			})
		}
	}
}

func TestADeadLetterTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	b, began := newBench(t, sim.Options{}), time.Now()
	b.setup()
	const id = "SECRET-session"
	b.api.Script(id, sim.Answer{Kind: sim.ServerError}, sim.Answer{Kind: sim.Raw, Status: 400, ContentType: "application/json",
		Body: `{"action":"CALLER_ERROR","resultCode":"A503203","resultMessage":"[A503203] there is no session SECRET-session\r\nX: y"}`})
	payload := []byte(` {"sessionId" : "SECRET-session", "extra": [1, 2]} `)
	b.publish(&nats.Msg{Data: payload, Header: nats.Header{"Nats-Msg-Id": {"the-id"}, "X-Request": {"r1"}, "Revoker-Reason": {"FORGED"}, "revoker-deliveries": {"9"}}})
	b.start()
	b.waitDone()
	letters := b.letters()
	if len(letters) != 1 || !bytes.Equal(letters[0].Data, payload) {
		t.Fatalf("%d dead letters, want the one with its payload", len(letters))
	}
	got := letters[0].Header
	mask := "session:" + events.SessionID(id).Mask()
	for name, want := range map[string]string{
		"Revoker-Reason": "CALLER_ERROR", "Revoker-Error": "the logout API answered CALLER_ERROR (HTTP 400, A503203)", "Revoker-Http-Status": "400",
		"Revoker-Result-Code": "A503203", "Revoker-Result-Message": "[A503203] there is no " + mask + " X: y",
		"Revoker-Subject": "session.ended", "Revoker-Stream": "SESSIONS", "Revoker-Stream-Sequence": "1", "Revoker-Consumer": "revoker",
		"Revoker-Deliveries": "2", "Revoker-Msg-Id": "the-id", "X-Request": "r1", "revoker-deliveries": "",
	} {
		// "there is no session SECRET-session" masks the ID alone.
		want = strings.Replace(want, "no "+mask, "no session "+mask, 1)
		if value := strings.Join(got[name], ","); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
	for _, name := range []string{"Revoker-Published-At", "Revoker-Dead-Lettered-At"} {
		if at, err := time.Parse(time.RFC3339, got.Get(name)); err != nil || at.Location() != time.UTC || began.Sub(at) > time.Second || at.After(time.Now()) {
			t.Errorf("%s: %q", name, got.Get(name))
		}
	}
}

func TestInvalidEventsAreDeadLetteredWithoutACall(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Services: []string{"allowed"}})
	b.cfg.API.AllowedServiceIDs = []string{"allowed"}
	b.setup()
	large := bytes.Repeat([]byte("x"), 1<<20)
	cloud := nats.Header{"Content-Type": {"application/cloudevents+json"}}
	cases := []struct {
		msg  *nats.Msg
		want string
	}{
		{&nats.Msg{}, "the payload is empty"},
		{&nats.Msg{Header: nats.Header{"Status": {"404"}}}, "the payload is empty"},
		{&nats.Msg{Data: large}, "the payload is not valid JSON at byte 1"},
		{&nats.Msg{Data: []byte("{\"sessionId\":\"\xff\"}")}, "sessionId is not valid UTF-8"},
		{&nats.Msg{Data: bytes.Repeat([]byte(`{"a":`), 100_000)}, "the payload is not valid JSON"},
		{&nats.Msg{Data: []byte(`{}`)}, "the payload has no sessionId"},
		{&nats.Msg{Data: []byte(`{"sessionId":null}`)}, "sessionId is null"},
		{&nats.Msg{Data: []byte(`{"sessionId":12}`)}, "sessionId is not a string"},
		{&nats.Msg{Data: []byte(`{"sessionId":""}`)}, "sessionId is empty"},
		{&nats.Msg{Data: []byte(`{"sessionId":"` + strings.Repeat("x", 1025) + `"}`)}, "sessionId has 1025 bytes; at most 1024 are allowed"},
		{&nats.Msg{Data: []byte(`{"sessionId":"a\u0007b"}`)}, "sessionId has a control character"},
		{&nats.Msg{Data: []byte(`{"sessionId":"a","serviceId":"foreign"}`)}, "serviceId is not AUTHLETE_SERVICE_ID and not in REVOKER_ALLOWED_SERVICE_IDS"},
		{&nats.Msg{Header: cloud, Data: []byte(`{"specversion":"1.0","type":"session.began","id":"1","source":"/","data":{"sessionId":"a"}}`)}, "the CloudEvent is not of type session.ended"},
		{&nats.Msg{Header: cloud, Data: []byte(`{"specversion":"0.3","type":"session.ended","id":"1","source":"/","data":{"sessionId":"a"}}`)}, "the CloudEvent is not of version 1.0"},
	}
	for _, c := range cases {
		b.publish(c.msg)
	}
	b.start()
	b.waitDone()
	if n := b.api.Calls(); n != 0 {
		t.Errorf("%d API calls", n)
	}
	letters := map[string]*jetstream.RawStreamMsg{}
	for _, letter := range b.letters() {
		letters[letter.Header.Get("Revoker-Stream-Sequence")] = letter
	}
	for i, c := range cases {
		letter := letters[strconv.Itoa(i+1)]
		if letter == nil {
			t.Errorf("%q is not dead-lettered", c.want)
			continue
		}
		header := letter.Header
		if header.Get("Revoker-Reason") != "INVALID_EVENT" || !strings.HasPrefix(header.Get("Revoker-Error"), c.want) {
			t.Errorf("got %s %q, want %q", header.Get("Revoker-Reason"), header.Get("Revoker-Error"), c.want)
		}
		if omitted := header.Get("Revoker-Payload-Omitted"); !bytes.Equal(letter.Data, c.msg.Data) && omitted != strconv.Itoa(len(c.msg.Data)) {
			t.Errorf("%q: the payload differs", c.want)
		}
	}
	// A service that is allowed gets its call.
	b.publish(&nats.Msg{Data: []byte(`{"sessionId":"b","serviceId":"allowed"}`)})
	b.waitFor("revocation", func() bool { return b.revoked("b") })
	if service := b.api.Session("b").Calls[0].Service; service != "allowed" {
		t.Errorf("the call was for service %q", service)
	}
}

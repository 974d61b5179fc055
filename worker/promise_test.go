package worker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// An event that cannot be dead-lettered stays, and gets there once it can.
func TestADeadLetterThatFailsKeepsItsEvent(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Rule: func(string, int) sim.Answer { return sim.Answer{Kind: sim.CallerError} }})
	b.setup()
	if err := b.js.DeleteStream(b.deadline(), b.cfg.DeadLetterStream); err != nil {
		t.Fatal(err)
	}
	b.publishSession("bad")
	b.publish(&nats.Msg{Data: []byte("no event")})
	b.start() // creates what is missing
	b.waitDone()
	if n := len(b.letters()); n != 2 {
		t.Fatalf("%d dead letters, want 2", n)
	}
	hear := b.deafen(b.cfg.DeadLetterStream)
	b.publishSession("worse")
	b.publish(&nats.Msg{Data: []byte("no event either")})
	b.waitFor("several tries", func() bool { return b.log.count("publishing a dead letter to dlq.session.ended") > 4 })
	if info := b.info(); info.NumAckPending != 2 || info.NumRedelivered != 0 {
		t.Fatalf("%d events are unsettled, want both; %d were delivered again", info.NumAckPending, info.NumRedelivered)
	}
	if calls := len(b.api.Session("worse").Calls); calls != 1 {
		t.Errorf("%d calls for a dead letter that waits for its stream", calls)
	}
	hear()
	b.waitDone()
	if n := len(b.letters()); n != 4 {
		t.Errorf("%d dead letters, want 4", n)
	}
}

// One session fails for ever while others are revoked: its own fault, so it ends as a dead letter. While nobody is revoked
// it is the API's, and it does not.
func TestRetriesAreExhaustedOnlyWhileTheAPIWorksForOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Rule: func(id string, _ int) sim.Answer {
		if id == "cursed" {
			return sim.Answer{Kind: sim.ServerError}
		}
		return sim.Answer{}
	}})
	b.cfg.RetryMaxAttempts, b.cfg.RetryMaxAge, b.cfg.RetryMaxInterval = 3, 0, 40*time.Millisecond
	b.start()
	b.publishSession("cursed")
	b.waitFor("many attempts", func() bool { return len(b.api.Session("cursed").Calls) >= 8 })
	if n := len(b.letters()); n != 0 {
		t.Fatalf("%d dead letters although nobody was revoked", n)
	}
	b.publishSession("healthy")
	b.waitDone()
	letters := b.letters()
	if len(letters) != 1 || letters[0].Header.Get("Revoker-Reason") != "RETRIES_EXHAUSTED" || letters[0].Header.Get("Revoker-Result-Code") != "A503101" {
		t.Fatalf("dead letters: %v", letters)
	}
	if !strings.Contains(letters[0].Header.Get("Revoker-Error"), "SERVER_ERROR") || letters[0].Header.Get("Revoker-Deliveries") == "1" {
		t.Errorf("headers %v", letters[0].Header)
	}
}

// These headers obeyed on a copy would purge the dead-letter stream, or keep the letter out of it for ever.
func TestAPublishersHeadersDoNoHarm(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Rule: func(string, int) sim.Answer { return sim.Answer{Kind: sim.CallerError} }})
	for stream, subject := range map[string]string{"SESSIONS": "session.ended", "SESSIONS_DLQ": "dlq.session.ended"} {
		if _, err := b.js.CreateStream(b.deadline(), jetstream.StreamConfig{Name: stream, Subjects: []string{subject}, AllowRollup: true, AllowMsgTTL: true}); err != nil {
			t.Fatal(err)
		}
	}
	b.start()
	hostile := []nats.Header{
		{"Nats-Expected-Stream": {"SESSIONS"}},
		{"Nats-Expected-Last-Msg-Id": {""}, "Nats-TTL": {"1h"}},
		{"Nats-Rollup": {"sub"}},
		{"Revoker-Reason": {"INVALID_EVENT"}, "Revoker-Stream-Sequence": {"1"}, "REVOKER-CONSUMER": {"forged"}},
	}
	for i, header := range hostile {
		b.publish(&nats.Msg{Header: header, Data: fmt.Appendf(nil, `{"sessionId":"hostile-%d"}`, i)})
		b.waitFor("dead letter", func() bool { return len(b.letters()) == i+1 })
	}
	b.waitDone()
	for i, letter := range b.letters() {
		if reason := letter.Header.Get("Revoker-Reason"); reason != "CALLER_ERROR" {
			t.Errorf("dead letter %d: reason %q", i, reason)
		}
		for name := range letter.Header {
			if strings.EqualFold(name, "Nats-Rollup") || strings.EqualFold(name, "Nats-TTL") || name == "REVOKER-CONSUMER" {
				t.Errorf("dead letter %d has %s", i, name)
			}
		}
	}
}

// A service that an event names and the API refuses holds that service's events alone, for as long as it takes.
func TestAMisconfiguredServiceHoldsItsOwnEventsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Services: []string{"other"}})
	b.cfg.API.AllowedServiceIDs = []string{"other", "gone"}
	b.start()
	b.publish(&nats.Msg{Data: []byte(`{"sessionId":"foreign","serviceId":"gone"}`)})
	b.waitFor("refusal", func() bool { return slices.Contains(b.outcomes("foreign"), worker.Misconfigured) })
	healthy := sessions("healthy", 20)
	b.publishSession(healthy...)
	b.publish(&nats.Msg{Data: []byte(`{"sessionId":"neighbour","serviceId":"other"}`)})
	b.waitFor("revocation of the others", func() bool {
		return b.revoked("neighbour") && !slices.ContainsFunc(healthy, func(id string) bool { return !b.revoked(id) })
	})
	b.waitFor("further attempts", func() bool { return len(b.outcomes("foreign")) >= 4 })
	if b.log.count("the events of a service are held back") != 1 || b.log.count("REVOKER_ALLOWED_SERVICE_IDS") == 0 {
		t.Errorf("the log does not say so once:\n%s", b.log)
	}
	if b.log.count("circuit breaker opened") != 0 || len(b.letters()) != 0 {
		t.Errorf("others suffer: %d dead letters", len(b.letters()))
	}
}

// The token is wrong for everybody: nothing is dead-lettered, hardly any call is made, and a new token drains the backlog.
func TestAWrongTokenPausesAndItsReplacementResumes(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	b.setup()
	ids := sessions("s", 300)
	b.publishSession(ids...)
	b.api.SetToken("SECRET-another")
	b.start()
	b.waitFor("several probes", func() bool { return b.api.Calls() > b.cfg.Concurrency+3 })
	if n := b.info().NumPending; int(n) < len(ids)-3*b.cfg.Concurrency {
		t.Errorf("only %d events were left in the stream", n)
	}
	if n := b.log.count("circuit breaker opened"); n != 1 || b.log.count("AUTHLETE_BEARER") == 0 {
		t.Errorf("the log says %d times that calls are paused:\n%s", n, b.log)
	}
	b.api.SetToken(testToken)
	b.waitDone()
	for _, id := range ids {
		if !b.revoked(id) {
			t.Fatalf("%s is not revoked", id)
		}
	}
	b.waitFor("word of the end", func() bool { return b.log.count("circuit breaker closed") == 1 })
	if n := len(b.letters()); n != 0 {
		t.Errorf("%d dead letters; the log:\n%s", n, b.log)
	}
}

func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	kinds := []sim.Kind{sim.OK, sim.ServerError, sim.CallerError, sim.Cut, sim.HTML, sim.BadRequest, sim.CutBody, sim.Unavailable}
	b := newBench(t, sim.Options{Rule: func(id string, attempt int) sim.Answer {
		kind := kinds[int(id[len(id)-1])%len(kinds)]
		if attempt > 2 && kind != sim.CallerError {
			return sim.Answer{}
		}
		if kind == sim.CallerError { // the API quotes what it was sent
			return sim.Answer{Kind: sim.Raw, Status: 400, ContentType: "application/json", Body: fmt.Sprintf(`{"action":"CALLER_ERROR","resultCode":"A1 %s","resultMessage":"no %s"}`, id, id)}
		}
		return sim.Answer{Kind: kind}
	}})
	b.start()
	ids := sessions("s", 60)
	b.api.Script("an-odd-SECRET-action-of-a-gateway", sim.Answer{Kind: sim.Raw, ContentType: "application/json", Body: `{"action":"QUOTED an-odd-SECRET-action-of-a-gateway"}`})
	b.publishSession("an-odd-SECRET-action-of-a-gateway")
	b.publishSession(ids...)
	b.publish(&nats.Msg{Data: []byte(`{"sessionId":"SECRET-twice","sessionId":"SECRET-twice"}`)})
	b.publish(&nats.Msg{Data: []byte(`{"sessionId":"SECRET-cut`)})
	b.api.SetToken("other")
	b.publishSession("SECRET-refused")
	b.waitFor("a refusal", func() bool { return b.log.count("AUTHLETE_BEARER") > 0 })
	b.api.SetToken(testToken)
	b.waitDone()
	if b.log.count("msg=settled") < len(ids) {
		t.Fatalf("the log is not at debug:\n%s", b.log)
	}
	if strings.Contains(b.log.String(), "SECRET") {
		t.Errorf("a secret is in the log:\n%s", b.log)
	}
	for _, letter := range b.letters() {
		for name, values := range letter.Header {
			if strings.Contains(strings.Join(values, ""), "SECRET") {
				t.Errorf("%s of a dead letter: %q", name, values)
			}
		}
	}
}

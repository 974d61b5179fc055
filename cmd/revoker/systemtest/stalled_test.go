package systemtest

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// retried is a delivery that is tried again.
var retried = regexp.MustCompile(`"msg":"settled","outcome":"retry","lane":"live","sequence":(\d+)`)

// NATS stops answering, and reading, while all slots are at work. Each dead letter and each receipt is given up meanwhile, so that its
// slot is free, and /livez holds. Afterwards every event is settled as if nothing had been.
func TestNATSThatStallsHoldsNoSlot(t *testing.T) {
	t.Parallel()
	const events, large = 200, 200 << 10 // together more than the connections' buffers hold
	s := testsite.New(t, testsite.Simulator{Bad: 50})
	s.StartNATS()
	toNATS := testproc.NewRelay(t, strings.TrimPrefix(s.NATSURL, "nats://"))
	toAPI := testproc.NewRelay(t, strings.TrimPrefix(s.APIURL, "http://"))
	s.Says(0, []string{"REVOKER_RECEIPTS=true"}, []string{"setup"})
	for i := range events {
		event := fmt.Appendf(nil, `{"sessionId":"SECRET-session-%d","padding":"%s"}`, i, strings.Repeat("x", large))
		if _, err := s.JS.Publish(s.Deadline(), "session.ended", event); err != nil {
			t.Fatal(err)
		}
	}
	toAPI.Silence()
	w := s.StartWorker("NATS_URL=nats://"+toNATS.Addr, "AUTHLETE_BASE_URL=http://"+toAPI.Addr, "REVOKER_RECEIPTS=true", "REVOKER_CONCURRENCY=200", "REVOKER_REQUEST_TIMEOUT=1m", "REVOKER_ACK_WAIT=5s")
	ops := opsURL(t, w)
	now := func(series string) float64 { n, _ := sample(scrape(t, ops), series); return n }
	testproc.WaitFor(t, "calls in all slots", func() bool { return now("revoker_calls_in_flight") == events })
	toNATS.Silence()
	toAPI.Heal() // so that all slots come to NATS at once
	testproc.WaitFor(t, "the last slot's return", func() bool {
		response, err := http.Get(ops + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("/livez: %s", response.Status)
		}
		givenUp := map[string]bool{}
		for _, line := range retried.FindAllStringSubmatch(w.Stderr.String(), -1) {
			givenUp[line[1]] = true
		}
		return len(givenUp) == events
	})
	toNATS.Heal()
	s.WaitDone()
	if n := len(s.DeadLetters("CALLER_ERROR")); n != events/2 {
		t.Errorf("%d dead letters, want %d", n, events/2)
	}
	if stream, err := s.JS.Stream(s.Deadline(), "SESSIONS_REVOKED"); err != nil || stream.CachedInfo().State.Msgs != events/2 {
		t.Errorf("not %d receipts: %v", events/2, err)
	}
	if log := w.Stderr.String(); !strings.Contains(log, "publishing a dead letter to") || !strings.Contains(log, "publishing a receipt to") {
		t.Errorf("no letter and no receipt was under way:\n%s", w.Stderr.Tail())
	}
}

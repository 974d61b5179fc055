package worker_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// A block of sessions that fail by themselves, in whatever way, holds nobody up: the ones behind it are revoked, and none is
// condemned.
func TestABlockOfFailingSessionsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]sim.Answer{
		"SERVER_ERROR": {Kind: sim.ServerError},
		"a bare 500":   {Kind: sim.BadRequest, Status: 500},
		"a 400":        {Kind: sim.BadRequest},
		"504":          {Kind: sim.Raw, Status: 504, ContentType: "text/html", Body: "<html>"},
		"HTML":         {Kind: sim.HTML},
		"no answer":    {Kind: sim.Hang},
		"a cut":        {Kind: sim.Cut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sim.Options{Rule: func(id string, _ int) sim.Answer {
				if strings.HasPrefix(id, "bad") {
					return answer
				}
				return sim.Answer{}
			}})
			b.cfg.RequestTimeout = 100 * time.Millisecond
			b.start()
			b.publishSession(sessions("bad", 150)...)
			b.waitFor("the block to fail", func() bool { return b.api.Calls() >= 50 })
			for _, good := range sessions("good", 10) {
				b.publishSession(good)
				b.waitFor("revocation of a good one", func() bool { return b.revoked(good) })
			}
			if n := len(b.letters()); n != 0 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}

// When all events were delivered before an outage, retries alone must open the breaker, whatever the API answers with. The
// probes do not move an event up in its backoff, so that all are done soon after.
func TestRetriesAloneOpenTheBreaker(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]sim.Answer{"SERVER_ERROR": {Kind: sim.ServerError}, "503": {Kind: sim.Unavailable}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var met atomic.Bool
			b := newBench(t, sim.Options{Rule: func(string, int) sim.Answer {
				if !met.Load() {
					return sim.Answer{Kind: sim.CutBody} // so that all are retried, however late the outage comes
				}
				return sim.Answer{}
			}})
			const n = 300
			b.cfg.BreakerFailures = 2 * n // until all were delivered
			b.cfg.RetryInitialInterval, b.cfg.RetryMaxInterval, b.cfg.RetryJitter = 2*time.Second, time.Hour, 0
			b.setup()
			b.publishSession(sessions("s", n)...)
			stop := b.start()
			b.waitFor("all to fail once", func() bool { return b.api.Calls() >= n && b.info().NumPending == 0 })
			stop()
			b.api.Outage(answer, 0)
			met.Store(true)
			b.cfg.BreakerFailures, b.cfg.Concurrency = 20, 16
			b.start()
			b.waitFor("the breaker to open", func() bool { return b.log.count("circuit breaker opened") > 0 })
			opened, before := b.log.at(t, "circuit breaker opened"), b.api.Calls()
			until := 0
			for _, s := range b.api.Sessions() {
				for _, call := range s.Calls {
					if call.Kind == answer.Kind && call.Began.Before(opened) {
						until++
					}
				}
			}
			if until > 20+2*b.cfg.Concurrency+2 {
				t.Errorf("%d calls until it opened", until)
			}
			b.waitFor("many probes", func() bool { return b.api.Calls() >= before+20 })
			b.api.Recover()
			b.waitDone() // within the test's patience, which an hour's backoff would break
			for _, id := range sessions("s", n) {
				if !b.revoked(id) {
					t.Fatalf("%s is not revoked", id)
				}
			}
		})
	}
}

// Only what the API itself answered for a session condemns it: never a gateway, a timeout or a network, however often; and
// throttling neither.
func TestOnlyTheAPIsOwnAnswersCondemn(t *testing.T) {
	t.Parallel()
	kinds := map[string]sim.Answer{
		"gateway": {Kind: sim.Unavailable}, "page": {Kind: sim.HTML}, "bare": {Kind: sim.BadRequest, Status: 500}, "silent": {Kind: sim.Hang},
		"cut": {Kind: sim.Cut}, "half": {Kind: sim.CutBody}, "many": {Kind: sim.TooMany}, "asks": {Kind: sim.TooMany, RetryAfter: "0"},
	}
	b := newBench(t, sim.Options{Rule: func(id string, _ int) sim.Answer {
		if answer, ok := kinds[id]; ok {
			return answer
		}
		if id == "cursed" {
			return sim.Answer{Kind: sim.ServerError}
		}
		return sim.Answer{}
	}})
	b.cfg.RequestTimeout = 50 * time.Millisecond
	b.cfg.RetryMaxAttempts, b.cfg.RetryMaxAge, b.cfg.RetryMaxInterval = 3, 0, 40*time.Millisecond
	b.start()
	for id := range kinds {
		b.publishSession(id)
	}
	b.publishSession("cursed")
	round := 0
	b.waitFor("many attempts of each", func() bool {
		round++
		b.publishSession(sessions("healthy", round)[round-1])
		for id := range kinds {
			if len(b.api.Session(id).Calls) < 10 {
				return false
			}
		}
		return len(b.letters()) > 0
	})
	letters := b.letters()
	if len(letters) != 1 || string(letters[0].Data) != `{"sessionId":"cursed"}` || letters[0].Header.Get("Revoker-Reason") != "RETRIES_EXHAUSTED" {
		t.Errorf("%d dead letters, want the one of the session that the API itself fails: %v", len(letters), letters)
	}
	if n := len(b.api.Session("cursed").Calls); n < 3 {
		t.Errorf("condemned after %d attempts", n)
	}
}

// A hold, or an outage, that used up an event's deliveries does not condemn it at its first failure.
func TestDeliveriesThatNeverReachedTheAPIAreNoAttempts(t *testing.T) {
	t.Parallel()
	// The first failure would be confirmed by three more before it condemns. As failures that count there are too few.
	const failing = 4
	var refused atomic.Bool
	var failures atomic.Int64
	refused.Store(true)
	b := newBench(t, sim.Options{Services: []string{"77"}, Rule: func(id string, _ int) sim.Answer {
		switch {
		case id == "foreign" && refused.Load():
			return sim.Answer{Kind: sim.Forbidden}
		case id == "foreign" && failures.Add(1) <= failing:
			return sim.Answer{Kind: sim.ServerError}
		}
		return sim.Answer{}
	}})
	b.cfg.API.AllowedServiceIDs = []string{"77"}
	b.cfg.RetryMaxAttempts, b.cfg.RetryMaxAge, b.cfg.RetryMaxInterval = 3, 0, 40*time.Millisecond
	b.start()
	b.publishEvent("foreign", "77")
	b.waitFor("many hand-backs", func() bool { return len(b.outcomes("foreign")) >= 8 })
	refused.Store(false)
	var first worker.Outcome
	b.waitFor("an attempt that the API answered", func() bool {
		b.publishSession("healthy")
		for _, first = range b.outcomes("foreign") {
			if first == worker.Retry || first == worker.RetriesExhausted {
				return true
			}
		}
		return false
	})
	if first != worker.Retry {
		t.Errorf("the first failure that the API answered was settled as %s", first)
	}
	b.waitDone()
	if !b.revoked("foreign") {
		t.Error("it was not revoked")
	}
}

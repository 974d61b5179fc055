package worker_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"revoker/worker/authlete/sim"
)

// callsInOrder lists all calls by their beginning.
func (b *bench) callsInOrder() (calls []sim.Call) {
	for _, s := range b.api.Sessions() {
		calls = append(calls, s.Calls...)
	}
	slices.SortFunc(calls, func(x, y sim.Call) int { return x.Began.Compare(y.Began) })
	return calls
}

// While the API throttles everybody, what is asked for is kept: one call for each interval, and none of another event's.
func TestAStormOf429PausesAllCalls(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]func() string{
		"seconds": func() string { return "1" },
		"date":    func() string { return time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat) }, // whole seconds
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calm atomic.Bool
			b := newBench(t, sim.Options{Rule: func(string, int) sim.Answer {
				if calm.Load() {
					return sim.Answer{}
				}
				return sim.Answer{Kind: sim.TooMany, RetryAfter: header()}
			}})
			b.cfg.Concurrency = 4
			b.setup()
			ids := sessions("s", 100)
			b.publishSession(ids...)
			b.start()
			b.waitFor("two probes", func() bool { return b.api.Calls() >= b.cfg.Concurrency+2 })
			calm.Store(true)
			// When the first is refused no more than the slots' calls are on their way; each one after them is a probe.
			calls := b.callsInOrder()
			for i := b.cfg.Concurrency; i < len(calls); i++ {
				probes := i - b.cfg.Concurrency + 1
				if waited, least := calls[i].Began.Sub(calls[0].Ended), time.Duration(probes)*900*time.Millisecond; waited < least {
					t.Errorf("call %d came %s after the first was told to wait, want at least %s", i+1, waited, least)
				}
			}
			b.waitDone()
			for _, id := range ids {
				if !b.revoked(id) {
					t.Errorf("%s is not revoked", id)
				}
			}
			if n := len(b.letters()); n != 0 || b.log.count("the API limits the rate") != 1 || b.log.count("circuit breaker opened") != 0 {
				t.Errorf("%d dead letters; the log:\n%s", n, b.log)
			}
		})
	}
}

// A long Retry-After does not set a rate: it pauses all calls.
func TestALongRetryAfterOpensTheBreaker(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Rule: func(string, int) sim.Answer { return sim.Answer{Kind: sim.TooMany, RetryAfter: "30"} }})
	b.setup()
	b.publishSession("s")
	b.start()
	b.waitFor("the breaker to open", func() bool { return b.log.count("circuit breaker opened") == 1 })
}

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
		"date":    func() string { return time.Now().Add(4 * time.Second).UTC().Format(http.TimeFormat) }, // whole seconds, that are not over when they are read
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
			told := slices.MinFunc(calls, func(x, y sim.Call) int { return x.Ended.Compare(y.Ended) }).Ended
			for i := b.cfg.Concurrency; i < len(calls); i++ {
				probes := i - b.cfg.Concurrency + 1
				if waited, least := calls[i].Began.Sub(told), time.Duration(probes)*900*time.Millisecond; waited < least {
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

// Where the API states its rate, no call is refused, and the log says how the worker knows.
func TestAStatedRateIsFollowed(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	b.api.SetCapacity(sim.Capacity{PerSecond: 200, Stated: true})
	b.cfg.Concurrency = 4
	b.setup()
	ids := sessions("s", 200)
	b.publishSession(ids...)
	b.start()
	b.allRevoked(ids)
	b.waitFor("word of it", func() bool { return b.log.count("its answers state the rate") == 1 })
	if n := b.api.Calls(); n != len(ids) || b.worker.State().Rate == 0 {
		t.Errorf("%d calls for %d sessions, rate %v; the log:\n%s", n, len(ids), b.worker.State().Rate, b.log)
	}
}

// A long Retry-After pauses all calls for as long as it says, whatever the lane.
func TestALongRetryAfterPausesAll(t *testing.T) {
	t.Parallel()
	const asked = 30 * time.Second
	b := newBench(t, sim.Options{Rule: func(string, int) sim.Answer { return sim.Answer{Kind: sim.TooMany, RetryAfter: "30"} }})
	b.cfg.Concurrency = 4
	b.setup()
	b.publishSession(sessions("live", 50)...)
	b.publishBulk(sessions("bulk", 50)...)
	began := time.Now()
	b.start()
	b.waitFor("the breaker to open", func() bool { return b.log.count("circuit breaker opened") == 1 })
	b.waitFor("the calls in flight", func() bool { return b.worker.State().InFlight == 0 })
	calls := b.api.Calls()
	if state := b.worker.State(); state.NextProbe == nil || state.NextProbe.Sub(began) < asked || state.NextProbe.Sub(began) > asked*6/5+testTimeout {
		t.Errorf("the next probe is due at %v, %s was asked for at %s", state.NextProbe, asked, began)
	}
	b.publishSession("another")
	b.publishBulk("another-bulk")
	b.waitFor("what was in hand to be handed back", func() bool { return b.worker.State().InHand == 0 })
	if n := b.api.Calls(); n != calls || n > b.cfg.Concurrency {
		t.Errorf("%d calls, %d of them after the pause began", n, n-calls)
	}
}

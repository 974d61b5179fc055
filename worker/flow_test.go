package worker_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// overlap is the largest number of calls that were being answered at a time.
func overlap(sessions map[string]sim.Session) (most int) {
	type edge struct {
		at    time.Time
		delta int
	}
	var edges []edge
	for _, s := range sessions {
		for _, c := range s.Calls {
			edges = append(edges, edge{c.Began, 1}, edge{c.Ended, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if d := a.at.Compare(b.at); d != 0 {
			return d
		}
		return a.delta - b.delta
	})
	now := 0
	for _, e := range edges {
		now += e.delta
		most = max(most, now)
	}
	return most
}

func TestConcurrencyIsBoundedAndUsed(t *testing.T) {
	t.Parallel()
	const concurrency = 8
	var begun atomic.Int64
	together := make(chan struct{})
	meet := sync.OnceFunc(func() { close(together) })
	b := newBench(t, sim.Options{Latency: 20 * time.Millisecond, Rule: func(string, int) sim.Answer {
		if begun.Add(1) == concurrency {
			meet()
		}
		<-together // however far apart they begin
		return sim.Answer{}
	}})
	t.Cleanup(meet)
	b.cfg.Concurrency = concurrency
	b.setup()
	b.publishSession(sessions("s", 200)...)
	b.start()
	b.waitDone()
	if most := overlap(b.api.Sessions()); most != concurrency {
		t.Errorf("%d calls at a time, want %d", most, concurrency)
	}
	if n := b.api.Calls(); n != 200 {
		t.Errorf("%d calls, want 200", n)
	}
}

func TestTheRateLimitHolds(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	const limit, burst = 100, 10
	b.cfg.RateLimit, b.cfg.Concurrency = limit, 8
	b.setup()
	b.publishSession(sessions("s", 250)...)
	b.start()
	b.waitDone()
	var began []time.Time
	for _, s := range b.api.Sessions() {
		for _, c := range s.Calls {
			began = append(began, c.Began)
		}
	}
	slices.SortFunc(began, time.Time.Compare)
	for i, first := range began {
		for j := i + 1; j < len(began); j++ {
			// Calls may reach the API later than they were let go, which brings them closer together: no more than there are slots.
			took := began[j].Sub(first)
			if calls := j - i + 1; float64(calls) > limit*took.Seconds()+burst+float64(b.cfg.Concurrency) {
				t.Fatalf("%d calls within %s", calls, took)
			}
		}
	}
}

// Calls that take longer than the ack wait are made once: the ack wait is renewed while they are in work.
func TestASlowCallIsMadeOnce(t *testing.T) {
	t.Parallel()
	// A renewal that comes some seconds late, on a machine that stands still for a moment, comes in time.
	b := newBench(t, sim.Options{Latency: 8 * time.Second})
	b.cfg.AckWait, b.cfg.RequestTimeout = 6*time.Second, time.Minute
	b.start()
	ids := sessions("s", 20)
	b.publishSession(ids...)
	b.waitDone()
	if n := b.api.Calls(); n != len(ids) { // those that have only begun, too
		t.Errorf("%d calls for %d events", n, len(ids))
	}
}

// While the API is down nothing is pulled: events wait in the stream, and their deliveries are not spent.
func TestAnOutageSpendsNeitherCallsNorDeliveries(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	b.cfg.BreakerMaxProbeInterval = 100 * time.Millisecond
	b.setup()
	ids := sessions("s", 1000)
	b.publishSession(ids...)
	b.api.Outage(sim.Answer{Kind: sim.Unavailable}, 0)
	b.start()
	b.waitFor("the breaker to open", func() bool { return b.log.count("circuit breaker opened") > 0 })
	before := b.api.Calls()
	b.waitFor("ten probes", func() bool { return b.api.Calls() >= before+10 })
	if n := b.info().NumPending; int(n) < len(ids)-3*b.cfg.Concurrency {
		t.Errorf("%d events are left in the stream", n)
	}
	b.api.Recover()
	b.waitDone()
	b.mu.Lock()
	defer b.mu.Unlock()
	spent := map[int]int{}
	for _, s := range b.settled {
		if s.Outcome == worker.Revoked {
			spent[s.Deliveries]++
		}
	}
	if spent[1] < len(ids)-4*b.cfg.Concurrency {
		t.Errorf("deliveries spent: %v", spent)
	}
}

func TestRetriesComeNoEarlierThanTheirInterval(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Rule: func(_ string, attempt int) sim.Answer {
		if attempt <= 3 {
			return sim.Answer{Kind: sim.ServerError}
		}
		return sim.Answer{}
	}})
	b.cfg.BreakerFailures = 1000
	b.start()
	ids := sessions("s", 50)
	b.publishSession(ids...)
	b.waitDone()
	for _, id := range ids {
		calls := b.api.Session(id).Calls
		if len(calls) != 4 {
			t.Fatalf("%s was called %d times, want 4", id, len(calls))
		}
		for i := 1; i < len(calls); i++ {
			interval := b.cfg.RetryInitialInterval << (i - 1)
			if gap, least := calls[i].Began.Sub(calls[i-1].Ended), interval/2; gap < least {
				t.Errorf("attempt %d of %s came after %s, want at least %s", i+1, id, gap, least)
			}
		}
	}
}

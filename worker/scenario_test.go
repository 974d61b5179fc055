package worker

import (
	"fmt"
	"testing"
	"time"

	"revoker/config"
	"revoker/worker/admission"
)

const forEver = 1 << 30

// A block of failing sessions, whatever its size and its way of failing, keeps good ones no longer than five seconds. Quick
// failures are met with the block at the head of the queue. Slow ones need the slots for their first calls, whatever a worker
// does, so there the block waits for its retries.
func TestGoodSessionsPassABlockOfFailingOnes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		kind  simKind
		size  int
		fresh bool
	}{
		{"SERVER_ERROR", simAnswered, 100, true}, {"SERVER_ERROR", simAnswered, 3_000, true}, {"SERVER_ERROR", simAnswered, 20_000, true},
		{"a bare 500", simBare500, 100, true}, {"a bare 500", simBare500, 3_000, true}, {"a bare 500", simBare500, 20_000, true},
		{"HTML", simHTML, 3_000, true},
		{"SERVER_ERROR, known", simAnswered, 20_000, false}, {"a bare 500, known", simBare500, 20_000, false},
		{"504 after a second", sim504, 100, false}, {"504 after a second", sim504, 3_000, false},
		{"timeout of ten seconds", simTimeout, 75, false}, {"timeout of ten seconds", simTimeout, 300, false},
	} {
		t.Run(fmt.Sprintf("%s, %d sessions", c.name, c.size), func(t *testing.T) {
			t.Parallel()
			s := newSimulation(1, 1, 64)
			for range c.size {
				if c.fresh {
					s.publish(forEver, c.kind)
				} else {
					s.retrying(10, forEver, c.kind, 5*time.Minute)
				}
			}
			if c.fresh {
				s.run(10 * time.Second) // the block is alone, which looks like an outage
			}
			var good []*simEvent
			for range 600 {
				good = append(good, s.publish(0, simOK))
				s.run(time.Second)
			}
			s.run(10 * time.Second)
			worst := time.Duration(0)
			for _, e := range good {
				if e.revoked.IsZero() {
					t.Fatalf("one is not revoked")
				}
				worst = max(worst, e.revoked.Sub(e.published))
			}
			if worst > 5*time.Second {
				t.Errorf("one waited %s", worst)
			}
		})
	}
}

// In an outage few calls are made, with whatever the API answers, and after it all sessions are revoked within five
// seconds, also where all had been delivered before and only retries are left.
func TestAnOutageCostsFewCallsAndIsOverSoon(t *testing.T) {
	t.Parallel()
	for _, kind := range []simKind{simAnswered, simBare500} {
		for _, lasting := range []time.Duration{15 * time.Second, 17500 * time.Millisecond, time.Minute, 10 * time.Minute, 3 * time.Hour} {
			for _, delivered := range []bool{true, false} {
				t.Run(fmt.Sprintf("kind %d for %s, all delivered before: %v", kind, lasting, delivered), func(t *testing.T) {
					t.Parallel()
					s := newSimulation(1, 1, 64)
					down, since := true, s.now
					inOutage, first20 := 0, 0
					s.api = func(e *simEvent) (simKind, time.Duration) {
						if !down {
							return s.session(e, 20*time.Millisecond)
						}
						if inOutage++; s.now.Sub(since) < 20*time.Second {
							first20++
						}
						return kind, 20 * time.Millisecond
					}
					const n = 300
					var events []*simEvent
					for range n {
						if delivered {
							events = append(events, s.retrying(1, 0, simOK, time.Second))
						} else {
							events = append(events, s.publish(0, simOK))
						}
					}
					s.run(lasting)
					recovery := s.now
					down = false
					s.run(10 * time.Second)
					worst, most := time.Duration(0), 0
					for _, e := range events {
						if e.revoked.IsZero() {
							t.Fatal("one is not revoked")
						}
						worst, most = max(worst, e.revoked.Sub(recovery)), max(most, e.deliveries)
					}
					if limit := 64 + 100; first20 > limit {
						t.Errorf("%d calls in the first 20 s, want at most %d", first20, limit)
					}
					if worst > 5*time.Second {
						t.Errorf("the last was revoked %s after the recovery", worst)
					}
					spent := 0
					for _, e := range events {
						if e.deliveries > 20 {
							spent++
						}
					}
					t.Logf("%d calls, %d in the first 20 s; the last was revoked after %s; %d deliveries at most", inOutage, first20, worst, most)
					if spent > 0 {
						t.Errorf("%d events were delivered more than twenty times", spent)
					}
				})
			}
		}
	}
}

// An outage that begins in mid-run, and refuses at once: calls that were in flight still succeed, and must not prolong the row
// of failures.
func TestAnOutageInMidRunCostsFewCalls(t *testing.T) {
	t.Parallel()
	const slots = 256
	s := newSimulation(1, 1, slots)
	down, inOutage := false, 0
	s.api = func(e *simEvent) (simKind, time.Duration) {
		if down {
			inOutage++
			return simBare500, 100 * time.Microsecond
		}
		return s.session(e, 20*time.Millisecond)
	}
	s.supply = func() *simEvent { return s.store(0, simOK) }
	s.run(2 * time.Second)
	down = true
	s.run(20 * time.Second)
	if inOutage > slots+40 {
		t.Errorf("%d calls in the outage", inOutage)
	}
	t.Logf("%d calls in the outage", inOutage)
	down = false
	revoked := s.revoked
	s.run(5 * time.Second)
	if s.revoked == revoked {
		t.Error("nothing is revoked within five seconds of the recovery")
	}
}

// Whatever mix of sessions fails, in whatever ways, and whatever outages come and go: the breaker opens soon after an outage
// begins, and three rounds of probes after its end it is closed. Where up to three in ten sessions fail by themselves, rounds
// may meet those alone, so that all recoveries together are judged.
func TestBreakerInRandomOutages(t *testing.T) {
	t.Parallel()
	closed, looked := 0, 0
	for seed := range uint64(20) {
		s := newSimulation(seed, 1, 4<<(seed%5))
		kinds := []simKind{simAnswered, simBare500, simHTML, sim504}
		share, times := 0.3*s.random.Float64(), 1+s.random.IntN(30)
		down, kind := false, simOK
		s.api = func(e *simEvent) (simKind, time.Duration) {
			if down {
				return kind, 20 * time.Millisecond
			}
			return s.session(e, 20*time.Millisecond)
		}
		s.supply = func() *simEvent {
			if s.random.Float64() < share {
				return s.store(times, kinds[s.random.IntN(len(kinds))])
			}
			return s.store(0, simOK)
		}
		b := s.workers[0].breaker
		for range 4 {
			down = false
			s.run(3 * config.Default().BreakerMaxProbeInterval)
			for range 100 {
				s.run(100 * time.Millisecond)
				if looked++; b.State() == admission.Closed || b.Suspected() {
					closed++
				}
			}
			s.run(time.Duration(s.random.IntN(20)) * time.Second)
			down, kind = true, kinds[s.random.IntN(3)]
			s.run(5 * time.Second)
			if b.State() == admission.Closed {
				t.Errorf("still closed in an outage; %.0f%% of the sessions fail %d times", 100*share, times)
			}
			s.run(time.Duration(100+s.random.IntN(30_000)) * time.Millisecond)
		}
	}
	if part := float64(closed) / float64(looked); part < 0.95 {
		t.Errorf("closed for %.3f of the time while the API works", part)
	}
}

// Sessions that fail by themselves open nothing: 20% of all, or a crowd whose retries are due at a time.
func TestBreakerWithFailingSessions(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		s := newSimulation(seed, 1, 32)
		for range 20_000 {
			s.retrying(5, forEver, simAnswered, 10*time.Second)
		}
		n := 0
		s.supply = func() *simEvent {
			if n++; n%5 == 0 {
				return s.store(forEver, simAnswered)
			}
			return s.store(0, simOK)
		}
		s.run(time.Minute)
		if w := s.workers[0]; w.openings > 3 || s.revoked < 15_000 {
			t.Errorf("seed %d: %d openings, %d revoked", seed, w.openings, s.revoked)
		}
	}
}

// A fleet with far more slots than the API can bear, which goes on working for clients that have left: it must find a
// number of calls that the API bears, rather than open and close without end.
func TestAFleetDoesNotCollapse(t *testing.T) {
	t.Parallel()
	const workers, slots, perSecond, timeout = 24, 64, 370, 2 * time.Second
	s := newSimulation(1, workers, slots)
	free := s.now // when the API has done all that it was asked
	s.api = func(e *simEvent) (simKind, time.Duration) {
		if free.Before(s.now) {
			free = s.now
		}
		free = free.Add(time.Second / perSecond)
		if took := free.Sub(s.now) + 20*time.Millisecond; took < timeout {
			return simOK, took
		}
		return simTimeout, timeout
	}
	s.supply = func() *simEvent { return s.store(0, simOK) }
	s.run(time.Minute) // it finds its place
	openings := func() (n int) {
		for _, w := range s.workers {
			n += w.openings
		}
		return n
	}
	revoked, opened := s.revoked, openings()
	s.run(2 * time.Minute)
	rate := float64(s.revoked-revoked) / 120
	t.Logf("%.0f/s of %d, %d openings in two minutes by %d workers", rate, perSecond, openings()-opened, workers)
	if rate < 0.9*perSecond {
		t.Errorf("%.0f/s of %d", rate, perSecond)
	}
	if n := openings() - opened; n > 6 {
		t.Errorf("%d openings", n)
	}
}

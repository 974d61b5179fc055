package bench

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// allowed is how many calls a second the API allows; it answers the others 429 with Retry-After: 1.
const allowed = 1000

// BenchmarkRateLimit is what is revoked of what an API allows that says so by its refusals alone.
//
//	of-allowed  events/s of what is allowed; the target is 0.93, and 0.9 for four workers
//	%-refused   of the calls, those that the API answered 429; the target is 1
//	least-share, most-share  the workers' shares from 20 s on, of a quarter of all; the target is 0.5 to 2
//	s-to-0.9    from the moment at which the limit is doubled to the end of the first second with 0.9 of the new one; the target is 15.
//	            It is +Inf if half a minute has none. It depends on when the worker next tries for more, which it does every 5 s: add
//	            -count 3
//	of-doubled  what is revoked in the last 5 s, some 10 to 15 s after it was doubled, of what is allowed then; the target is 0.9
func BenchmarkRateLimit(b *testing.B) {
	b.Run("workers=1", func(b *testing.B) {
		const n = 30_000
		for b.Loop() {
			s := limited(b, n)
			p := s.StartWorker(plainly(64)...)
			workOff(s, n)
			l := run(s, p, n)
			noTime(b)
			b.ReportMetric(l.rate/allowed, "of-allowed")
			b.ReportMetric(refused(s), "%-refused")
		}
	})
	b.Run("workers=4", func(b *testing.B) {
		for b.Loop() {
			shareRate(b)
		}
	})
	b.Run("doubled", func(b *testing.B) {
		for b.Loop() {
			doubleRate(b)
		}
	})
}

// limited is a site whose API has a rate limit, with n events.
func limited(b *testing.B, n int, services ...string) *testsite.Site {
	b.Helper()
	s := testsite.New(b, testsite.Simulator{Latency: 5 * time.Millisecond, Services: services})
	s.StartNATS()
	s.Control("PUT", "/sim/capacity", sim.Capacity{PerSecond: allowed})
	setUp(s, n)
	return s
}

// shareRate lets four workers share the limit. Each calls for a service of its own, which tells whose call one is.
func shareRate(b *testing.B) {
	b.Helper()
	const n, settling = 45_000, 20 * time.Second
	services := []string{"1001", "1002", "1003", "1004"}
	s := limited(b, n, services...)
	s.Says(0, nil, []string{"pause"})
	var all []*testproc.Process
	for _, service := range services {
		all = append(all, s.StartWorker(append(plainly(64), "AUTHLETE_SERVICE_ID="+service)...))
	}
	s.Says(0, nil, []string{"resume"})
	workOff(s, n)
	l := run(s, all[0], n)
	for _, p := range all[1:] {
		finish(p, n)
	}
	calls := okCalls(s)
	settled := calls[0].Ended.Add(settling)
	share, sum := map[string]float64{}, 0.0
	for _, call := range calls {
		if call.Ended.After(settled) {
			share[call.Service]++
			sum++
		}
	}
	least, most := math.Inf(1), 0.0
	for _, service := range services {
		of := share[service] / (sum / float64(len(services)))
		least, most = min(least, of), max(most, of)
	}
	noTime(b)
	b.ReportMetric(l.rate/allowed, "of-allowed")
	b.ReportMetric(refused(s), "%-refused")
	b.ReportMetric(least, "least-share")
	b.ReportMetric(most, "most-share")
}

// doubleRate doubles the limit in mid-run.
func doubleRate(b *testing.B) {
	b.Helper()
	const before, after = 15 * allowed, 30 * allowed // events: a quarter of a minute's work at the doubled limit, half at the old one
	s := limited(b, before+2*after)
	p := s.StartWorker(plainly(64)...)
	workOff(s, before)
	doubled := time.Now()
	s.Control("PUT", "/sim/capacity", sim.Capacity{PerSecond: 2 * allowed})
	until := s.Calls() + after
	testproc.WaitFor(b, "the calls after it doubled", func() bool { return s.Calls() >= until })
	finish(p, before)
	noTime(b)
	calls := okCalls(s)
	b.ReportMetric(reached(calls, doubled, 0.9*2*allowed), "s-to-0.9")
	b.ReportMetric(latest(calls, 5*time.Second)/(2*allowed), "of-doubled")
	b.ReportMetric(refused(s), "%-refused")
}

// workOff waits until so many events were taken from the stream, however slow the API is.
func workOff(s *testsite.Site, n int) {
	s.T.Helper()
	const parts = 10
	for part := range parts {
		testproc.WaitFor(s.T, fmt.Sprintf("part %d of %d of the events", part+1, parts), func() bool {
			return int(s.Info().AckFloor.Stream) >= (part+1)*n/parts
		})
	}
}

// refused is how much percent of the calls the API's front refused.
func refused(s *testsite.Site) float64 {
	s.T.Helper()
	all, answered := s.Calls(), 0
	for _, session := range s.Sessions() {
		answered += len(session.Calls)
	}
	return 100 * float64(all-answered) / float64(all)
}

// okCalls are the calls that were answered OK, in the order of their answers.
func okCalls(s *testsite.Site) (calls []sim.Call) {
	s.T.Helper()
	for _, session := range s.Sessions() {
		for _, call := range session.Calls {
			if call.Kind == sim.OK {
				calls = append(calls, call)
			}
		}
	}
	slices.SortFunc(calls, func(a, b sim.Call) int { return a.Ended.Compare(b.Ended) })
	return calls
}

// reached is how many seconds after a moment the first second had ended in which so many calls did; +Inf if none had.
func reached(calls []sim.Call, from time.Time, perSecond int) (seconds float64) {
	first, _ := slices.BinarySearchFunc(calls, from, func(c sim.Call, t time.Time) int { return c.Ended.Compare(t) })
	for i := first; i+perSecond <= len(calls); i++ {
		if last := calls[i+perSecond-1].Ended; last.Sub(calls[i].Ended) <= time.Second {
			return last.Sub(from).Seconds()
		}
	}
	return math.Inf(1)
}

// latest is how many calls a second ended in the last time.
func latest(calls []sim.Call, lasting time.Duration) (perSecond float64) {
	from := calls[len(calls)-1].Ended.Add(-lasting)
	first, _ := slices.BinarySearchFunc(calls, from, func(c sim.Call, t time.Time) int { return c.Ended.Compare(t) })
	return float64(len(calls)-first) / lasting.Seconds()
}

// TestReached: four calls a second, of which those before the moment do not count.
func TestReached(t *testing.T) {
	t.Parallel()
	from := time.Now()
	var calls []sim.Call
	for _, ended := range []time.Duration{-300, -200, -100, 0, 500, 1100, 1600, 2000, 2100} {
		calls = append(calls, sim.Call{Ended: from.Add(ended * time.Millisecond)})
	}
	if got := reached(calls, from, 4); got != 2.1 { // 1.1 to 2.1 s is the first second with four
		t.Errorf("after %v s, want 2.1", got)
	}
	if got := latest(calls, time.Second); got != 4 { // from 1.1 to 2.1 s
		t.Errorf("%v calls in the last second, want 4", got)
	}
	if got := reached(calls, from, 5); !math.IsInf(got, 1) {
		t.Errorf("five calls a second after %v s, want +Inf", got)
	}
}

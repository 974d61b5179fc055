package bench

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// BenchmarkLatency is the time from an event's publishing to the end of its call, as the API's ledger has it, at a steady 500
// events/s and 5 ms of API latency. The target is a p99 no longer than the hand-rolled loop's. The two take turns, and each
// one's rounds are taken together, since a p99 is the machine's more than the worker's where others use it.
func BenchmarkLatency(b *testing.B) {
	const rounds = 3
	for b.Loop() {
		var loop, own []time.Duration
		for range rounds {
			loop = append(loop, steady(b, handRolled(64))...)
			own = append(own, steady(b, built(64))...)
		}
		noTime(b)
		b.ReportMetric(ms(quantile(own, 0.5)), "ms-p50")
		b.ReportMetric(ms(quantile(own, 0.99)), "ms-p99")
		b.ReportMetric(ms(quantile(loop, 0.5)), "ms-p50-loop")
		b.ReportMetric(ms(quantile(loop, 0.99)), "ms-p99-loop")
		b.ReportMetric(ms(quantile(own, 0.99))/ms(quantile(loop, 0.99)), "p99-times-loop")
	}
}

// steady publishes evenly and returns how long each event took.
func steady(b *testing.B, start func(*testsite.Site) *testproc.Process) (took []time.Duration) {
	b.Helper()
	const n, interval = 4_000, 2 * time.Millisecond
	s := testsite.New(b, testsite.Simulator{Latency: 5 * time.Millisecond})
	server := s.StartNATS()
	setUp(s, 0)
	p := start(s)
	published := make([]time.Time, n)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for i := range n {
		<-ticker.C
		published[i] = time.Now()
		s.PublishOne(i)
	}
	run(s, p, n)
	server.Kill()
	sessions := s.Sessions()
	for i := n / 10; i < n; i++ { // the first tenth warms up
		took = append(took, sessions[fmt.Sprintf("SECRET-session-%d", i)].RevokedAt.Sub(published[i]))
	}
	return took
}

func quantile(list []time.Duration, q float64) time.Duration {
	slices.Sort(list)
	return list[int(q*float64(len(list)-1))]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkMemory is the peak with 1,024 calls in flight, while 10,000 or a million events are queued, for which the target is 96 MiB,
// and with 256, for which it is 64 MiB; the run ends after 100,000 events. What takes it are the connections' buffers and three goroutines
// for each call in flight; the queue is not in the worker. most-in-flight is how many calls the API really had at a time: where the
// machine is too busy for more the worker does not make them, and MiB is that of fewer.
func BenchmarkMemory(b *testing.B) {
	for _, c := range []struct{ inFlight, queued int }{{256, 100_000}, {1024, 10_000}, {1024, 1_000_000}} {
		b.Run(fmt.Sprintf("inflight=%d/queued=%d", c.inFlight, c.queued), func(b *testing.B) {
			n := c.queued
			for b.Loop() {
				s := testsite.New(b, testsite.Simulator{Latency: apiLatency})
				server := s.StartNATS()
				setUp(s, n)
				p := s.StartWorker(plainly(c.inFlight)...)
				most := min(n, 100_000)
				testproc.WaitFor(b, "calls", func() bool { return s.Calls() >= most })
				noTime(b)
				b.ReportMetric(finish(p, most).peak, "MiB")
				b.ReportMetric(float64(mostInFlight(okCalls(s))), "most-in-flight")
				server.Kill()
			}
		})
	}
}

// mostInFlight is how many of the calls were made at a time.
func mostInFlight(calls []sim.Call) (most int) {
	type change struct {
		at time.Time
		by int
	}
	var changes []change
	for _, call := range calls {
		changes = append(changes, change{call.Began, 1}, change{call.Ended, -1})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.by, b.by)) })
	inFlight := 0
	for _, c := range changes {
		inFlight += c.by
		most = max(most, inFlight)
	}
	return most
}

// TestMostInFlight: three calls, of which one begins when another ends.
func TestMostInFlight(t *testing.T) {
	t.Parallel()
	from := time.Now()
	at := func(d time.Duration) time.Time { return from.Add(d * time.Second) }
	calls := []sim.Call{{Began: at(0), Ended: at(2)}, {Began: at(1), Ended: at(4)}, {Began: at(2), Ended: at(3)}}
	if n := mostInFlight(calls); n != 2 {
		t.Errorf("%d calls in flight, want 2", n)
	}
}

package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
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

// BenchmarkMemory is the peak with 1,024 calls in flight, while 10,000 or a million events are queued. The target is 96 MiB for
// both; the run ends after 100,000 events. What takes it are the connections' buffers and three goroutines for each call in flight;
// the queue is not in the worker.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("queued=%d", n), func(b *testing.B) {
			for b.Loop() {
				s := testsite.New(b, testsite.Simulator{Latency: apiLatency})
				server := s.StartNATS()
				setUp(s, n)
				p := s.StartWorker(plainly(1024)...)
				most := min(n, 100_000)
				testproc.WaitFor(b, "calls", func() bool { return s.Calls() >= most })
				noTime(b)
				b.ReportMetric(finish(p, most).peak, "MiB")
				server.Kill()
			}
		})
	}
}

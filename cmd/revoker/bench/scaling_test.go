package bench

import (
	"fmt"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// fleet lets so many workers work off n events together. The consumer is paused until all of them have begun.
func fleet(b *testing.B, api testsite.Simulator, n, workers, concurrency int, more ...string) load {
	b.Helper()
	s := testsite.New(b, api)
	s.StartNATS()
	setUp(s, n)
	s.Says(0, nil, []string{"pause"})
	var all []*testproc.Process
	for range workers {
		all = append(all, built(concurrency, more...)(s))
	}
	s.Says(0, nil, []string{"resume"})
	l := run(s, all[0], n)
	for _, p := range all[1:] {
		finish(p, n)
	}
	return l
}

// BenchmarkScaling is what one, two and four workers do together on one stream. Each has so few slots that neither the cores
// of the machine nor the server decide, but slots and latency alone: ideal is workers × slots / latency, and as many times one
// worker's rate as there are workers.
func BenchmarkScaling(b *testing.B) {
	const concurrency, each = 16, 6_000
	one := 0.0
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				l := fleet(b, testsite.Simulator{Latency: apiLatency}, workers*each, workers, concurrency)
				if workers == 1 {
					one = l.rate
				}
				noTime(b)
				b.ReportMetric(l.rate, "events/s")
				b.ReportMetric(l.rate/(float64(workers)*concurrency/apiLatency.Seconds()), "of-ideal")
				b.ReportMetric(l.rate/one, "times-one")
			}
		})
	}
}

// BenchmarkOneCore is what one worker does with one core and an API that takes no time. Where the API and the server need more
// than is left of the machine they are what limits it: busy is then the share of the core that the worker used.
func BenchmarkOneCore(b *testing.B) {
	const concurrency, n = 64, 100_000
	for b.Loop() {
		l := backlog(b, testsite.Simulator{}, n, built(concurrency, "GOMAXPROCS=1"))
		l.report(b)
		b.ReportMetric(l.cpu*l.rate/float64(time.Second.Microseconds()), "busy")
		b.ReportMetric(float64(time.Second.Microseconds())/l.cpu, "events/core-second")
	}
}

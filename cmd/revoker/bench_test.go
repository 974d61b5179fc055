package main

import (
	"syscall"
	"testing"
	"time"

	"revoker/worker/authlete/sim"
)

// healthyRun is how a run went until the last healthy session was revoked.
type healthyRun struct {
	took  time.Duration // from the first call
	calls int           // answered until then
}

// runUntilHealthy revokes n sessions, of which failing percent answer SERVER_ERROR three times first, with 32 slots.
func runUntilHealthy(b *testing.B, n, failing int) healthyRun {
	b.Helper()
	s := newSite(b, simulator{Failing: failing, Latency: 20 * time.Millisecond})
	s.startNATS()
	setup := s.startWorker() // creates the stream
	setup.signal(syscall.SIGTERM)
	setup.wait()
	s.publish(0, n)
	w := s.startWorker("REVOKER_LOG_LEVEL=info", "REVOKER_CONCURRENCY=32")
	s.waitDone()
	w.signal(syscall.SIGTERM)
	w.wait()
	var first, last time.Time
	sessions := s.sessions()
	for id, session := range sessions {
		if began := session.Calls[0].Began; first.IsZero() || began.Before(first) {
			first = began
		}
		if s.sim.kind(id) == sim.OK && session.RevokedAt.After(last) {
			last = session.RevokedAt
		}
	}
	run := healthyRun{took: last.Sub(first)}
	for _, session := range sessions {
		for _, call := range session.Calls {
			if !call.Ended.After(last) {
				run.calls++
			}
		}
	}
	return run
}

// BenchmarkRetriesBlockNobody compares the time to the last healthy revocation while 10% of the sessions fail three times
// with that of as many events that are all healthy. Only calls may take time: times/calls is the ratio of the times divided
// by (calls made until then / events), and 1 would be ideal.
func BenchmarkRetriesBlockNobody(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		healthy, mixed := runUntilHealthy(b, n, 0), runUntilHealthy(b, n, 10)
		slower := mixed.took.Seconds() / healthy.took.Seconds()
		b.ReportMetric(float64(n)/healthy.took.Seconds(), "healthy/s")
		b.ReportMetric(slower, "times")
		b.ReportMetric(slower/(float64(mixed.calls)/n), "times/calls")
	}
}

package bench

import (
	"testing"
	"time"

	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// BenchmarkRetriesBlockNobody compares the time to the last healthy revocation while 10% of the sessions fail three times
// with that of as many events that are all healthy. Only calls may take time: times-calls is the ratio of the times, times-healthy,
// divided by (calls made until then / events). 1 would be ideal, and the target is 1.05. Retries go before new events; what
// limits it is the share of the slots that they may have. 32 slots are so few that the machine is not the limit.
//
// times-whole compares the times until all are revoked, the failing ones too. 1.3 would be ideal, for there are 1.3 times the calls,
// and the target is 1.8. The last failing sessions wait for three retries. So that the ratio is not about that wait, these come soon.
func BenchmarkRetriesBlockNobody(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		healthy, allHealthy := runUntilHealthy(b, n, 0)
		mixed, l := runUntilHealthy(b, n, 10)
		slower := mixed.took.Seconds() / healthy.took.Seconds()
		l.report(b)
		b.ReportMetric(slower, "times-healthy")
		b.ReportMetric(slower/(float64(mixed.calls)/n), "times-calls")
		b.ReportMetric(l.took.Seconds()/allHealthy.took.Seconds(), "times-whole")
	}
}

// healthyRun is how a run went until the last healthy session was revoked.
type healthyRun struct {
	took  time.Duration // from the first call
	calls int           // answered until then
}

// runUntilHealthy revokes n sessions, of which failing percent answer SERVER_ERROR three times first.
func runUntilHealthy(b *testing.B, n, failing int) (healthy healthyRun, l load) {
	b.Helper()
	s := testsite.New(b, testsite.Simulator{Failing: failing, Latency: apiLatency})
	server := s.StartNATS()
	setUp(s, n)
	l = run(s, s.StartWorker(append(plainly(32), "REVOKER_RETRY_INITIAL_INTERVAL=100ms")...), n)
	server.Kill()
	var first, last time.Time
	sessions := s.Sessions()
	for id, session := range sessions {
		if began := session.Calls[0].Began; first.IsZero() || began.Before(first) {
			first = began
		}
		if s.Sim.Kind(id) == sim.OK && session.RevokedAt.After(last) {
			last = session.RevokedAt
		}
	}
	healthy.took = last.Sub(first)
	for _, session := range sessions {
		for _, call := range session.Calls {
			if !call.Ended.After(last) {
				healthy.calls++
			}
		}
	}
	return healthy, l
}

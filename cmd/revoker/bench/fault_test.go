package bench

import (
	"flag"
	"syscall"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// BenchmarkKillOneOfTwo kills one of two workers in mid-run, and takes the time until the last of its events in flight was
// revoked by the other: s/takeover. The target is 12 s with calls below 1 s; 10 s of them are the ack wait, since nothing
// else tells a killed worker from a slow one.
func BenchmarkKillOneOfTwo(b *testing.B) {
	const n, concurrency = 3000, 64
	for b.Loop() {
		s := testsite.New(b, testsite.Simulator{Latency: 800 * time.Millisecond})
		s.StartNATS()
		setUp(s, n)
		victim := s.StartWorker(plainly(concurrency)...)
		s.StartWorker(plainly(concurrency)...)
		testproc.WaitFor(b, "the middle of the run", func() bool { return s.Calls() > n/3 })
		victim.Signal(syscall.SIGKILL)
		killed := time.Now()
		victim.Wait()
		s.WaitDone()
		twice, last := 0, killed
		for id, session := range s.Sessions() {
			if !session.Revoked() {
				b.Errorf("%s is not revoked", id)
			}
			if calls := session.Calls; len(calls) > 1 {
				twice++
				if ended := calls[len(calls)-1].Ended; ended.After(last) {
					last = ended
				}
			}
		}
		b.ReportMetric(last.Sub(killed).Seconds(), "s/takeover")
		b.ReportMetric(float64(twice), "taken-over")
	}
}

// BenchmarkRestart kills the only worker in mid-run and starts another one a second later, against a run without that. What was in
// flight is delivered again once the ack wait is over, which is 10 s: s-more is by how much longer than the run and that second it
// takes, and lost is what is not revoked in the end.
//
//	twice  sessions that were called more than once; the target is 64, what was in flight
func BenchmarkRestart(b *testing.B) {
	const n, concurrency, away = 60_000, 64, time.Second
	for b.Loop() {
		whole := backlog(b, testsite.Simulator{Latency: apiLatency}, n, built(concurrency))
		s := testsite.New(b, testsite.Simulator{Latency: apiLatency})
		server := s.StartNATS()
		setUp(s, n)
		victim := s.StartWorker(plainly(concurrency)...)
		testproc.WaitFor(b, "the middle of the run", func() bool { return s.Calls() > n/3 })
		victim.Signal(syscall.SIGKILL)
		victim.Wait()
		time.Sleep(away)
		next := s.StartWorker(plainly(concurrency)...)
		workOff(s, n)
		s.WaitDone()
		finish(next, n)
		twice, lost := 0, 0
		var first, last time.Time
		for _, session := range s.Sessions() {
			if len(session.Calls) > 1 {
				twice++
			}
			if !session.Revoked() {
				lost++
			}
			if began := session.Calls[0].Began; first.IsZero() || began.Before(first) {
				first = began
			}
			if session.RevokedAt.After(last) {
				last = session.RevokedAt
			}
		}
		lost += n - len(s.Sessions())
		server.Kill()
		noTime(b)
		b.ReportMetric((last.Sub(first) - whole.took - away).Seconds(), "s-more")
		b.ReportMetric(float64(twice), "twice")
		b.ReportMetric(float64(lost), "lost")
	}
}

var crowdDuration = flag.Duration("crowd.duration", time.Minute, "how long the healthy flow beside a failing crowd is measured")

// BenchmarkFailingCrowd compares the rate of a healthy backlog while 20,000 sessions fail again and again with its rate
// without them: ratio, with a target of 0.9. It is measured from when each of the crowd has failed once: their retries are
// most frequent then.
func BenchmarkFailingCrowd(b *testing.B) {
	const crowd = 20_000
	for b.Loop() {
		alone, beside := healthyRate(b, 0, 2*crowd), healthyRate(b, crowd, 2*crowd)
		b.ReportMetric(alone, "alone/s")
		b.ReportMetric(beside, "beside/s")
		b.ReportMetric(beside/alone, "ratio")
	}
}

// healthyRate is the rate at which new events are taken from the stream once the first are, while a crowd of them fails.
// Redeliveries do not count.
func healthyRate(b *testing.B, crowd, first int) float64 {
	b.Helper()
	const concurrency, latency = 32, 40 * time.Millisecond // so few that the machine is not the limit
	s := testsite.New(b, testsite.Simulator{Crowd: crowd, Latency: latency})
	s.StartNATS()
	setUp(s, first+int(concurrency*(*crowdDuration+10*time.Second)/latency))
	w := s.StartWorker(plainly(concurrency)...)
	for part := range 4 {
		testproc.WaitFor(b, "the crowd", func() bool { return int(s.Info().Delivered.Stream) >= (part+1)*first/4 })
	}
	const interval = 10 * time.Second
	taken, began := s.Info().Delivered.Stream, time.Now()
	for seen := taken; time.Since(began) < *crowdDuration; {
		time.Sleep(interval)
		info := s.Info()
		b.Logf("crowd of %d: %.0f healthy/s, %d unsettled", crowd, float64(info.Delivered.Stream-seen)/interval.Seconds(), info.NumAckPending)
		seen = info.Delivered.Stream
	}
	taken = s.Info().Delivered.Stream - taken
	rate := float64(taken) / time.Since(began).Seconds()
	w.Signal(syscall.SIGKILL)
	w.Wait()
	return rate
}

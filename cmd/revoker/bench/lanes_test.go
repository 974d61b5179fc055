package bench

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

const (
	liveInterval = 10 * time.Millisecond // between two live events
	liveEvents   = 1_000
	lanesSlots   = 64
)

// BenchmarkLanes is what live events wait behind a bulk backlog, from publishing to the end of the call, against what they wait
// without it in the same run; 100 of them arrive a second. The target of p99-times-alone is 2.
//
//	bulk-times-alone  the rate of the bulk events while live ones arrive, against a backlog of bulk events alone; the target is
//	                  0.95, and 0.97 would be all that live ones leave
//	times-one-lane    the rate of bulk events alone against that of as many in the only lane of a worker without a bulk subject; the
//	                  target is 0.97
//
// The parts take turns in several rounds, which are taken together. The million is for the waits alone.
func BenchmarkLanes(b *testing.B) {
	b.Run("queued=40000", func(b *testing.B) {
		const n, rounds = 40_000, 3
		for b.Loop() {
			var alone, beside []time.Duration
			var one, bulk, shared float64
			for range rounds {
				one += backlog(b, testsite.Simulator{Latency: apiLatency}, n, built(lanesSlots, "REVOKER_BULK_SUBJECT=")).rate
				bulk += bulkAlone(b, n)
				without, _ := liveBehind(b, 0)
				with, rate := liveBehind(b, n)
				alone, beside, shared = append(alone, without...), append(beside, with...), shared+rate
			}
			reportWaits(b, alone, beside)
			b.ReportMetric(shared/bulk, "bulk-times-alone")
			b.ReportMetric(bulk/one, "times-one-lane")
		}
	})
	b.Run("queued=1000000", func(b *testing.B) {
		for b.Loop() {
			alone, _ := liveBehind(b, 0)
			beside, _ := liveBehind(b, 1_000_000)
			reportWaits(b, alone, beside)
		}
	})
}

func reportWaits(b *testing.B, alone, beside []time.Duration) {
	noTime(b)
	b.ReportMetric(ms(quantile(beside, 0.5)), "ms-p50")
	b.ReportMetric(ms(quantile(beside, 0.99)), "ms-p99")
	b.ReportMetric(ms(quantile(beside, 0.5))/ms(quantile(alone, 0.5)), "p50-times-alone")
	b.ReportMetric(ms(quantile(beside, 0.99))/ms(quantile(alone, 0.99)), "p99-times-alone")
}

// bulkAlone is the rate at which n bulk events are worked off while nothing is live.
func bulkAlone(b *testing.B, n int) float64 {
	b.Helper()
	s := testsite.New(b, testsite.Simulator{Latency: apiLatency})
	server := s.StartNATS()
	setUp(s, 0)
	s.PublishBulk(0, n)
	l := run(s, s.StartWorker(plainly(lanesSlots)...), n)
	server.Kill()
	return l.rate
}

// liveBehind publishes live events evenly while so many bulk events are queued, and returns how long each took, and the rate of
// the bulk ones meanwhile.
func liveBehind(b *testing.B, queued int) (took []time.Duration, bulk float64) {
	b.Helper()
	s := testsite.New(b, testsite.Simulator{Latency: apiLatency})
	server := s.StartNATS()
	setUp(s, 0)
	s.PublishBulk(0, queued)
	p := s.StartWorker(plainly(lanesSlots)...)
	if queued > 0 {
		testproc.WaitFor(b, "bulk calls", func() bool { return s.Calls() > lanesSlots })
	}
	const warmUp = liveEvents / 10
	published := make([]time.Time, liveEvents)
	ticker := time.NewTicker(liveInterval)
	defer ticker.Stop()
	for i := range liveEvents {
		<-ticker.C
		published[i] = time.Now()
		s.PublishOne(queued + i)
	}
	testproc.WaitFor(b, "live events", func() bool {
		info := s.Info()
		return info.Delivered.Consumer >= liveEvents && info.NumPending == 0 && info.NumAckPending == 0
	})
	p.Signal(syscall.SIGTERM) // a million bulk events would take minutes
	p.Wait()
	sessions := s.Sessions()
	server.Kill()
	from, to := published[warmUp], published[liveEvents-1]
	for i := range queued {
		if at := sessions[fmt.Sprintf("SECRET-session-%d", i)].RevokedAt; at.After(from) && at.Before(to) {
			bulk++
		}
	}
	for i := warmUp; i < liveEvents; i++ {
		took = append(took, sessions[fmt.Sprintf("SECRET-session-%d", queued+i)].RevokedAt.Sub(published[i]))
	}
	return took, bulk / to.Sub(from).Seconds()
}

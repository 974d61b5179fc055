package bench

import (
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// BenchmarkDeadLetters lists, replays and deletes 100,000 dead letters with the built binary: times, and the process's
// largest memory in MiB (0 where there is no /proc).
func BenchmarkDeadLetters(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		s := testsite.NewGraveyard(b)
		s.Bury(n)
		for _, c := range []struct {
			what string
			args []string
		}{
			{"ls", []string{"ls"}}, {"ls-all", []string{"ls", "--all"}},
			{"replay", []string{"replay", "1-50000", "--yes"}}, {"rm", []string{"rm", "--all", "--yes"}},
		} {
			began := time.Now()
			p := testproc.Start(b, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(b, "revoker"), append([]string{"dlq"}, c.args...)...)
			peak := p.PeakToItsEnd()
			if code := p.Wait(); code != 0 {
				b.Fatalf("%v: exit code %d: %s", c.args, code, p.Stderr.String())
			}
			b.ReportMetric(time.Since(began).Seconds(), c.what+"-s")
			b.ReportMetric(peak, c.what+"-MiB")
		}
		if s.Stored("SESSIONS_DLQ") != 0 || s.Stored("SESSIONS") != n/2 {
			b.Fatalf("%d letters are left, %d events", s.Stored("SESSIONS_DLQ"), s.Stored("SESSIONS"))
		}
	}
}

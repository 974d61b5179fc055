package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkDeadLetters lists, replays and deletes 100,000 dead letters with the built binary: times, and the process's
// largest memory in MiB (0 where there is no /proc).
func BenchmarkDeadLetters(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		s := newGraveyard(b)
		s.bury(n)
		for _, c := range []struct {
			what string
			args []string
		}{
			{"ls", []string{"ls"}}, {"ls-all", []string{"ls", "--all"}},
			{"replay", []string{"replay", "1-50000", "--yes"}}, {"rm", []string{"rm", "--all", "--yes"}},
		} {
			began := time.Now()
			p := start(b, []string{"NATS_URL=" + s.natsURL}, binary(b, "revoker"), append([]string{"dlq"}, c.args...)...)
			peak := p.peakToItsEnd()
			if code := p.wait(); code != 0 {
				b.Fatalf("%v: exit code %d: %s", c.args, code, p.stderr.String())
			}
			b.ReportMetric(time.Since(began).Seconds(), c.what+"-s")
			b.ReportMetric(peak, c.what+"-MiB")
		}
		if s.stored("SESSIONS_DLQ") != 0 || s.stored("SESSIONS") != n/2 {
			b.Fatalf("%d letters are left, %d events", s.stored("SESSIONS_DLQ"), s.stored("SESSIONS"))
		}
	}
}

// peakToItsEnd waits for the process's end, and returns the most memory that it had. A process's own resource usage counts
// the one that started it too.
func (p *process) peakToItsEnd() (mebibytes float64) {
	p.t.Helper()
	for ; p.running(); time.Sleep(10 * time.Millisecond) {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		_, line, _ := strings.Cut(string(status), "VmHWM:")
		var kibibytes float64
		if n, _ := fmt.Sscan(line, &kibibytes); n == 1 {
			mebibytes = kibibytes / 1024
		}
	}
	return mebibytes
}

package bench

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// The benchmarks here run revoker as its users do: the built binary, a NATS server and the API, each a process. One round
// each is enough: go test -run '^$' -bench . -benchtime 1x -timeout 30m ./cmd/revoker/bench
//
// On a machine that others use, only ratios mean something, and of these only such whose parts were taken one after the other:
// those to a loop or to bare loops. Add -count 3 to see how far they vary.
//
//	events/s      from the first call to the last revocation, as the API has them in its ledger; starting and stopping are not in it
//	cpu-µs/event  user and system time of the worker's process alone, its start and stop included
//	MiB           the most resident memory that the worker's process had
//	ms-api        how long a call took in the API, on average: its latency, plus what the machine's load adds

// load is what one process did with a backlog.
type load struct {
	took time.Duration // from the first call that the API saw to the last revocation
	rate float64       // events/s in that time
	cpu  float64       // µs of the process, user and system, for an event; start and stop included
	peak float64       // resident memory, MiB
	call time.Duration // mean, as the API saw it
}

// setUp creates streams and consumer, and fills the stream with n events.
func setUp(s *testsite.Site, n int) {
	s.T.Helper()
	first := s.StartWorker()
	first.Signal(syscall.SIGTERM)
	first.Wait()
	s.Publish(0, n)
}

// startBaseline starts a loop that works as long as it is let.
func startBaseline(s *testsite.Site, name string, more ...string) *testproc.Process {
	s.T.Helper()
	return testproc.Start(s.T, s.Env(append(more, baselineVariable+"="+name)...), os.Args[0])
}

// plainly is what the benchmarks run revoker with: nothing of the tests' own.
func plainly(concurrency int) []string {
	return []string{"REVOKER_LOG_LEVEL=info", "REVOKER_RETRY_INITIAL_INTERVAL=500ms", fmt.Sprintf("REVOKER_CONCURRENCY=%d", concurrency)}
}

// run lets a process work off n events that are queued. All of them must be revoked then, or the figures mean nothing.
func run(s *testsite.Site, p *testproc.Process, n int) load {
	s.T.Helper()
	s.WaitDone()
	l := finish(p, n)
	var first, last time.Time
	var calls time.Duration
	sessions := s.Sessions()
	if len(sessions) != n {
		s.T.Fatalf("%d sessions were called, want %d", len(sessions), n)
	}
	for id, session := range sessions {
		if !session.Revoked() {
			s.T.Fatalf("%s was not revoked: %+v", id, session.Calls)
		}
		calls += session.Calls[0].Ended.Sub(session.Calls[0].Began)
		if began := session.Calls[0].Began; first.IsZero() || began.Before(first) {
			first = began
		}
		if session.RevokedAt.After(last) {
			last = session.RevokedAt
		}
	}
	l.took = last.Sub(first)
	l.rate = float64(n) / l.took.Seconds()
	l.call = calls / time.Duration(n)
	return l
}

// finish ends a process and tells what it needed for n events.
func finish(p *testproc.Process, n int) load {
	p.T.Helper()
	peak := p.Peak()
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != 0 {
		p.T.Fatalf("%s ended with %d", p.Cmd.Path, code)
	}
	return load{cpu: p.CPU(n), peak: peak}
}

func (l load) report(b *testing.B) {
	noTime(b)
	b.ReportMetric(l.rate, "events/s")
	b.ReportMetric(l.cpu, "cpu-µs/event")
	b.ReportMetric(l.peak, "MiB")
	b.ReportMetric(ms(l.call), "ms-api")
}

// noTime leaves out how long a benchmark took in all, which says nothing.
func noTime(b *testing.B) { b.ReportMetric(0, "ns/op") }

// backlog lets a worker or a loop of its own work off n events at a site of its own.
func backlog(b *testing.B, api testsite.Simulator, n int, start func(*testsite.Site) *testproc.Process) load {
	b.Helper()
	s := testsite.New(b, api)
	server := s.StartNATS()
	setUp(s, n)
	l := run(s, start(s), n)
	server.Kill()
	return l
}

func built(concurrency int, more ...string) func(*testsite.Site) *testproc.Process {
	return func(s *testsite.Site) *testproc.Process {
		return s.StartWorker(append(plainly(concurrency), more...)...)
	}
}

func handRolled(concurrency int) func(*testsite.Site) *testproc.Process {
	return func(s *testsite.Site) *testproc.Process {
		return startBaseline(s, "hand-rolled", plainly(concurrency)...)
	}
}

const apiLatency = 20 * time.Millisecond

// BenchmarkThroughput is the share of what the slots could do if nothing else took time: concurrency / latency. The
// target is 0.97. What is missing is the way from a slot to the API and back, and what ms-api has beyond 20: the API's timers are
// late by half a millisecond. A bare net/http loop, which has no events at all, shows in the same round what that leaves:
// times-bare-calls is to be 1.
func BenchmarkThroughput(b *testing.B) {
	const concurrency, n = 64, 50_000
	for b.Loop() {
		l, bare := besideCalls(b, concurrency, n)
		l.report(b)
		b.ReportMetric(ofIdeal(concurrency, l.rate), "of-ideal")
		b.ReportMetric(ofIdeal(concurrency, bare), "of-ideal-bare-calls")
		b.ReportMetric(l.rate/bare, "times-bare-calls")
	}
}

// besideCalls works off n events, and then lets a bare loop make the same calls of the same API; bare is its calls/s.
func besideCalls(b *testing.B, concurrency, n int) (l load, bare float64) {
	b.Helper()
	s := testsite.New(b, testsite.Simulator{Latency: apiLatency})
	server := s.StartNATS()
	setUp(s, n)
	l = run(s, s.StartWorker(plainly(concurrency)...), n)
	server.Kill()
	callAlone(s, concurrency, n)
	return l, secondCalls(s)
}

// secondCalls is the rate of each session's second calls: those of a bare loop after a worker's.
func secondCalls(s *testsite.Site) float64 {
	s.T.Helper()
	var first, last time.Time
	sessions := s.Sessions()
	for _, session := range sessions {
		call := session.Calls[1]
		if first.IsZero() || call.Began.Before(first) {
			first = call.Began
		}
		if call.Ended.After(last) {
			last = call.Ended
		}
	}
	return float64(len(sessions)) / last.Sub(first).Seconds()
}

func ofIdeal(concurrency int, rate float64) float64 {
	return rate / (float64(concurrency) / apiLatency.Seconds())
}

// BenchmarkThroughputFarFromNATS is the same with a NATS server that is 1 ms away in each direction, by a relay that delays
// and does not throttle. ms-nats is the round trip as measured through it: 2, plus how late the machine wakes the relay.
func BenchmarkThroughputFarFromNATS(b *testing.B) {
	const concurrency, n = 64, 50_000
	for b.Loop() {
		var between time.Duration
		l := backlog(b, testsite.Simulator{Latency: apiLatency}, n, func(s *testsite.Site) *testproc.Process {
			far := "nats://" + newFarRelay(b, s.NATSURL[len("nats://"):], time.Millisecond)
			between = roundTrip(s, far)
			return s.StartWorker(append(plainly(concurrency), "NATS_URL="+far)...)
		})
		l.report(b)
		b.ReportMetric(ms(between), "ms-nats")
		b.ReportMetric(ofIdeal(concurrency, l.rate), "of-ideal")
	}
}

// roundTrip is the median of what a message to a NATS server and back takes.
func roundTrip(s *testsite.Site, url string) time.Duration {
	s.T.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		s.T.Fatal(err)
	}
	defer nc.Close()
	var took []time.Duration
	for range 101 {
		one, err := nc.RTT()
		if err != nil {
			s.T.Fatal(err)
		}
		took = append(took, one)
	}
	return quantile(took, 0.5)
}

// BenchmarkThroughputBesideALoop compares with the hand-rolled loop, both with 256 calls in flight. The target is 1.1 times the
// loop's events/s. The two cores are nearly all in use then, by worker, server and API together; times-bare-calls shows how much
// of what the calls alone could do is left.
func BenchmarkThroughputBesideALoop(b *testing.B) {
	const concurrency, n = 256, 100_000
	for b.Loop() {
		loop := backlog(b, testsite.Simulator{Latency: apiLatency}, n, handRolled(concurrency))
		l, bare := besideCalls(b, concurrency, n)
		l.report(b)
		b.ReportMetric(ofIdeal(concurrency, l.rate), "of-ideal")
		b.ReportMetric(l.rate/bare, "times-bare-calls")
		b.ReportMetric(l.rate/loop.rate, "times-loop")
	}
}

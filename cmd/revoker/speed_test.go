package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/worker/authlete/sim"
)

// The benchmarks here run revoker as its users do: the built binary, a NATS server and the API, each a process. One round
// each is enough: go test -run '^$' -bench . -benchtime 1x -timeout 30m ./cmd/revoker
//
// On a machine that others use, only ratios mean something, and of these only such whose parts were taken one after the other.

// load is what one process did with a backlog.
type load struct {
	took time.Duration // from the first call that the API saw to the last revocation
	rate float64       // events/s in that time
	cpu  float64       // µs of the process, user and system, for an event; start and stop included
	peak float64       // resident memory, MiB
	call time.Duration // mean, as the API saw it
}

// setUp creates streams and consumer, and fills the stream with n events.
func (s *site) setUp(n int) {
	s.t.Helper()
	first := s.startWorker()
	first.signal(syscall.SIGTERM)
	first.wait()
	s.publish(0, n)
}

// startBaseline starts a loop that works as long as it is let.
func (s *site) startBaseline(name string, more ...string) *process {
	s.t.Helper()
	return start(s.t, s.env(append(more, baselineVariable+"="+name)...), os.Args[0])
}

// plainly is what the benchmarks run revoker with: nothing of the tests' own.
func plainly(concurrency int) []string {
	return []string{"REVOKER_LOG_LEVEL=info", "REVOKER_RETRY_INITIAL_INTERVAL=500ms", fmt.Sprintf("REVOKER_CONCURRENCY=%d", concurrency)}
}

// run lets a process work off n events that are queued.
func (s *site) run(p *process, n int) load {
	s.t.Helper()
	s.waitDone()
	l := p.finish(n)
	var first, last time.Time
	var calls time.Duration
	for _, session := range s.sessions() {
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
func (p *process) finish(n int) load {
	p.t.Helper()
	peak := p.peak()
	p.signal(syscall.SIGTERM)
	p.wait()
	return load{cpu: p.cpu(n), peak: peak}
}

// cpu is µs of an ended process for each of n events.
func (p *process) cpu(n int) float64 {
	state := p.cmd.ProcessState
	return float64((state.UserTime() + state.SystemTime()).Microseconds()) / float64(n)
}

// peak is the most resident memory that a running process had so far, in MiB. What the system counts for an ended one, Maxrss,
// includes that of the process which started it.
func (p *process) peak() float64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	if _, err := fmt.Sscanf(rest, "%f kB", &kib); err != nil {
		p.t.Fatalf("no peak memory in %q", status)
	}
	return kib / 1024
}

func (l load) report(b *testing.B) {
	b.ReportMetric(l.rate, "events/s")
	b.ReportMetric(l.cpu, "cpu-µs/event")
	b.ReportMetric(l.peak, "MiB")
	b.ReportMetric(ms(l.call), "ms-api")
}

// backlog lets a worker or a loop of its own work off n events at a site of its own.
func backlog(b *testing.B, api simulator, n int, start func(*site) *process) load {
	b.Helper()
	s := newSite(b, api)
	server := s.startNATS()
	s.setUp(n)
	l := s.run(start(s), n)
	server.signal(syscall.SIGKILL)
	server.wait()
	return l
}

func built(concurrency int, more ...string) func(*site) *process {
	return func(s *site) *process { return s.startWorker(append(plainly(concurrency), more...)...) }
}

func handRolled(concurrency int) func(*site) *process {
	return func(s *site) *process { return s.startBaseline("hand-rolled", plainly(concurrency)...) }
}

const apiLatency = 20 * time.Millisecond

// BenchmarkThroughput is the share of what the slots could do if nothing else took time: concurrency / latency. The
// target is 0.97. What is missing is the way from a slot to the API and back.
func BenchmarkThroughput(b *testing.B) {
	const concurrency, n = 64, 50_000
	for b.Loop() {
		l := backlog(b, simulator{Latency: apiLatency}, n, built(concurrency))
		l.report(b)
		b.ReportMetric(l.rate/(concurrency/apiLatency.Seconds()), "of-ideal")
	}
}

// BenchmarkThroughputFarFromNATS is the same with a round trip of 2 ms to the NATS server.
func BenchmarkThroughputFarFromNATS(b *testing.B) {
	const concurrency, n = 64, 50_000
	for b.Loop() {
		l := backlog(b, simulator{Latency: apiLatency}, n, func(s *site) *process {
			far := newFarRelay(b, s.natsURL[len("nats://"):], time.Millisecond)
			return s.startWorker(append(plainly(concurrency), "NATS_URL=nats://"+far)...)
		})
		l.report(b)
		b.ReportMetric(l.rate/(concurrency/apiLatency.Seconds()), "of-ideal")
	}
}

// BenchmarkThroughputBesideALoop compares with the hand-rolled loop, both with 256 calls in flight. The target is 1.1 times the
// loop's events/s; two cores are all in use then, by worker, server and API together.
func BenchmarkThroughputBesideALoop(b *testing.B) {
	const concurrency, n = 256, 100_000
	for b.Loop() {
		api := simulator{Latency: apiLatency}
		loop := backlog(b, api, n, handRolled(concurrency))
		l := backlog(b, api, n, built(concurrency))
		l.report(b)
		b.ReportMetric(l.rate/(concurrency/apiLatency.Seconds()), "of-ideal")
		b.ReportMetric(l.rate/loop.rate, "times-loop")
	}
}

// BenchmarkCPU compares what an event costs with the two things that can't be done without: the call of a bare net/http loop
// and the message of a bare loop that consumes and acknowledges. The target is 1.15 times their sum. Each is a process of its
// own, on the same server or API.
func BenchmarkCPU(b *testing.B) {
	const concurrency, n = 64, 100_000
	for b.Loop() {
		s := newSite(b, simulator{})
		s.startNATS()
		s.setUp(n)
		alone := func(name string) float64 {
			p := s.startBaseline(name, append(plainly(concurrency), fmt.Sprintf("EVENTS=%d", n))...)
			if p.wait() != 0 {
				b.Fatal(p.stderr.String())
			}
			return p.cpu(n)
		}
		l := s.run(s.startWorker(plainly(concurrency)...), n)
		call := alone("http")
		if err := s.js.DeleteConsumer(s.deadline(), "SESSIONS", "revoker"); err != nil {
			b.Fatal(err)
		}
		again := jetstream.ConsumerConfig{Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1}
		if _, err := s.js.CreateConsumer(s.deadline(), "SESSIONS", again); err != nil {
			b.Fatal(err)
		}
		consume := alone("consume")
		loop := backlog(b, simulator{}, n, handRolled(concurrency))
		l.report(b)
		b.ReportMetric(call, "cpu-µs/bare-call")
		b.ReportMetric(consume, "cpu-µs/bare-message")
		b.ReportMetric(l.cpu/(call+consume), "times-bare")
		b.ReportMetric(loop.cpu, "cpu-µs/loop-event")
	}
}

// BenchmarkLatency is the time from an event's publishing to the end of its call, at 500 events/s and 5 ms of API latency. The
// target is a p99 no longer than the hand-rolled loop's.
func BenchmarkLatency(b *testing.B) {
	for b.Loop() {
		loop := steady(b, handRolled(64))
		own := steady(b, built(64))
		b.ReportMetric(ms(quantile(own, 0.5)), "ms-p50")
		b.ReportMetric(ms(quantile(own, 0.99)), "ms-p99")
		b.ReportMetric(ms(quantile(own, 0.99))/ms(quantile(loop, 0.99)), "p99-times-loop")
	}
}

// steady publishes evenly and returns how long each event took.
func steady(b *testing.B, start func(*site) *process) (took []time.Duration) {
	b.Helper()
	const n, interval = 5_000, 2 * time.Millisecond
	s := newSite(b, simulator{Latency: 5 * time.Millisecond})
	s.startNATS()
	s.setUp(0)
	start(s)
	published := make([]time.Time, n)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for i := range n {
		<-ticker.C
		published[i] = time.Now()
		s.publishOne(i)
	}
	s.waitDone()
	sessions := s.sessions()
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

// BenchmarkMemory is the peak with 1,024 calls in flight, while 10,000 or a million events are queued. The target is 96 MiB.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("queued=%d", n), func(b *testing.B) {
			for b.Loop() {
				s := newSite(b, simulator{Latency: apiLatency})
				s.startNATS()
				s.setUp(n)
				p := s.startWorker(plainly(1024)...)
				most := min(n, 100_000)
				waitFor(b, "calls", func() bool { return s.calls() >= most })
				b.ReportMetric(p.finish(most).peak, "MiB")
			}
		})
	}
}

// BenchmarkOutage lets the API be down in mid-run: the calls that it gets meanwhile, beyond those that were in flight before
// the first could fail, and the time from its recovery to full throughput. The targets are 40 calls, and 5 s after 20 s,
// 2 s after 3 s. The probe interval limits the recovery: an outage that ends right after a probe goes unnoticed until the next.
func BenchmarkOutage(b *testing.B) {
	for _, outage := range []time.Duration{3 * time.Second, 20 * time.Second} {
		b.Run(outage.String(), func(b *testing.B) {
			const concurrency = 64
			for b.Loop() {
				s := newSite(b, simulator{Latency: apiLatency})
				s.startNATS()
				s.setUp(45_000)
				p := s.startWorker(plainly(concurrency)...)
				time.Sleep(3 * time.Second) // at full throughput
				from := time.Now()
				s.control("POST", "/sim/outage", sim.OutageRequest{Answer: sim.Answer{Kind: sim.Unavailable}})
				time.Sleep(outage)
				s.control("DELETE", "/sim/outage", nil)
				to := time.Now()
				s.waitDone()
				p.signal(syscall.SIGTERM)
				p.wait()
				calls, full := judge(b, s.sessions(), from, to)
				b.ReportMetric(float64(calls-concurrency), "calls-beyond")
				b.ReportMetric(full.Seconds(), "s-to-full")
			}
		})
	}
}

// judge counts the calls that an outage answered, and finds when the throughput was back at nine tenths of what it was.
func judge(b *testing.B, sessions map[string]sim.Session, from, to time.Time) (calls int, full time.Duration) {
	b.Helper()
	const window = 100 * time.Millisecond
	revoked := map[int64]int{} // by window, counted from the outage's end
	for _, session := range sessions {
		revoked[int64(session.RevokedAt.Sub(to)/window)]++
		for _, call := range session.Calls {
			if call.Kind == sim.Unavailable {
				calls++
			}
		}
	}
	var before []int
	for w := int64(from.Add(-2*time.Second).Sub(to) / window); w < int64(from.Sub(to)/window)-1; w++ {
		before = append(before, revoked[w])
	}
	slices.Sort(before)
	median := before[len(before)/2]
	for w := int64(0); w < 300; w++ {
		if 10*revoked[w] >= 9*median {
			return calls, time.Duration(w+1) * window
		}
	}
	b.Fatalf("the throughput never came back to nine tenths of %d in %s", median, window)
	return 0, 0
}

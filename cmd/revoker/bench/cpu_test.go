package bench

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// cost is µs of CPU of one process each, for an event.
type cost struct {
	call    float64 // of a bare net/http loop
	message float64 // of a bare loop that consumes and acknowledges
	loop    float64 // of the hand-rolled loop, which does all of it
}

// BenchmarkCPU compares what an event costs with the two things that can't be done without: the call of a bare net/http loop
// and the message of a bare loop that consumes and acknowledges. Neither decodes anything. The target is 1.15 times their sum. Each is a process of its
// own, on the same server and API; they take turns in several rounds, whose means count. The API has no latency, so that it
// and the server take most of the machine, which costs time but none of the worker's CPU.
//
// What limits it is the call: net/http's goroutines and system calls are most of what both sides of the ratio have.
func BenchmarkCPU(b *testing.B) {
	const concurrency, n, rounds = 64, 50_000, 3
	for b.Loop() {
		var own load
		var bare cost
		for range rounds {
			l, c := cpuRound(b, concurrency, n)
			own.rate, own.cpu, own.peak, own.call = own.rate+l.rate/rounds, own.cpu+l.cpu/rounds, max(own.peak, l.peak), own.call+l.call/rounds
			bare = cost{bare.call + c.call/rounds, bare.message + c.message/rounds, bare.loop + c.loop/rounds}
		}
		own.report(b)
		b.ReportMetric(bare.call, "cpu-µs/bare-call")
		b.ReportMetric(bare.message, "cpu-µs/bare-message")
		b.ReportMetric(own.cpu/(bare.call+bare.message), "times-bare")
		b.ReportMetric(bare.loop, "cpu-µs/loop-event")
	}
}

func cpuRound(b *testing.B, concurrency, n int) (own load, c cost) {
	b.Helper()
	s := testsite.New(b, testsite.Simulator{})
	server := s.StartNATS()
	setUp(s, n)
	own = run(s, s.StartWorker(plainly(concurrency)...), n)
	c.call = callAlone(s, concurrency, n)
	consumeAgain(s)
	c.message = alone(s, "consume", concurrency, n)
	server.Kill()
	c.loop = backlog(b, testsite.Simulator{}, n, handRolled(concurrency)).cpu
	return own, c
}

// alone lets a bare loop do its work n times, and returns the µs of CPU that each took.
func alone(s *testsite.Site, name string, concurrency, n int) float64 {
	s.T.Helper()
	p := startBaseline(s, name, append(plainly(concurrency), fmt.Sprintf("EVENTS=%d", n))...)
	if p.Wait() != 0 {
		s.T.Fatal(p.Stderr.String())
	}
	return p.CPU(n)
}

// callAlone lets a bare loop make the calls that a worker made before.
func callAlone(s *testsite.Site, concurrency, n int) float64 {
	s.T.Helper()
	cpu := alone(s, "http", concurrency, n)
	sameCalls(s, n)
	return cpu
}

// sameCalls checks that worker and bare loop had the same work: one call and one OK for each of n sessions.
func sameCalls(s *testsite.Site, n int) {
	s.T.Helper()
	sessions := s.Sessions()
	if len(sessions) != n {
		s.T.Fatalf("%d sessions were called, want %d", len(sessions), n)
	}
	for id, session := range sessions {
		if calls := session.Calls; len(calls) != 2 || calls[0].Kind != sim.OK || calls[1].Kind != sim.OK {
			s.T.Fatalf("%s has the calls %+v, want two that answered OK", id, calls)
		}
	}
}

// consumeAgain lets the stream's events be delivered once more.
func consumeAgain(s *testsite.Site) {
	s.T.Helper()
	if err := s.JS.DeleteConsumer(s.Deadline(), "SESSIONS", "revoker"); err != nil {
		s.T.Fatal(err)
	}
	again := jetstream.ConsumerConfig{Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1}
	if _, err := s.JS.CreateConsumer(s.Deadline(), "SESSIONS", again); err != nil {
		s.T.Fatal(err)
	}
}

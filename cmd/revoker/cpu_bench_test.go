package main

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

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
	s := newSite(b, simulator{})
	server := s.startNATS()
	s.setUp(n)
	own = s.run(s.startWorker(plainly(concurrency)...), n)
	c.call = s.callAlone(concurrency, n)
	s.consumeAgain()
	c.message = s.alone("consume", concurrency, n)
	server.kill()
	c.loop = backlog(b, simulator{}, n, handRolled(concurrency)).cpu
	return own, c
}

// alone lets a bare loop do its work n times, and returns the µs of CPU that each took.
func (s *site) alone(name string, concurrency, n int) float64 {
	s.t.Helper()
	p := s.startBaseline(name, append(plainly(concurrency), fmt.Sprintf("EVENTS=%d", n))...)
	if p.wait() != 0 {
		s.t.Fatal(p.stderr.String())
	}
	return p.cpu(n)
}

// callAlone lets a bare loop make the calls that a worker made before.
func (s *site) callAlone(concurrency, n int) float64 {
	s.t.Helper()
	cpu := s.alone("http", concurrency, n)
	s.sameCalls(n)
	return cpu
}

// sameCalls checks that worker and bare loop had the same work: one call and one OK for each of n sessions.
func (s *site) sameCalls(n int) {
	s.t.Helper()
	sessions := s.sessions()
	if len(sessions) != n {
		s.t.Fatalf("%d sessions were called, want %d", len(sessions), n)
	}
	for id, session := range sessions {
		if calls := session.Calls; len(calls) != 2 || calls[0].Kind != sim.OK || calls[1].Kind != sim.OK {
			s.t.Fatalf("%s has the calls %+v, want two that answered OK", id, calls)
		}
	}
}

// consumeAgain lets the stream's events be delivered once more.
func (s *site) consumeAgain() {
	s.t.Helper()
	if err := s.js.DeleteConsumer(s.deadline(), "SESSIONS", "revoker"); err != nil {
		s.t.Fatal(err)
	}
	again := jetstream.ConsumerConfig{Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1}
	if _, err := s.js.CreateConsumer(s.deadline(), "SESSIONS", again); err != nil {
		s.t.Fatal(err)
	}
}

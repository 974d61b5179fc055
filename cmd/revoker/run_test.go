package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/worker/authlete/sim"
)

// The main job, each part a process of its own: 10% of 10,000 sessions answer SERVER_ERROR three times, 1% CALLER_ERROR.
func TestTenThousandEvents(t *testing.T) {
	t.Parallel()
	const events = 10_000
	s := newSite(t, simulator{Failing: 10, Bad: 1, Latency: 2 * time.Millisecond, Jitter: 4 * time.Millisecond})
	s.startNATS()
	w := s.startWorker()
	s.publish(0, events)
	s.waitDone()
	w.signal(syscall.SIGTERM)
	if code := w.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	sessions, letters := s.sessions(), s.deadLetters("CALLER_ERROR")
	if len(sessions) != events || len(letters) != events/100 {
		t.Errorf("%d sessions were called and %d dead-lettered, want %d and %d", len(sessions), len(letters), events, events/100)
	}
	for i := range events {
		id := fmt.Sprintf("SECRET-session-%d", i)
		calls, letters := sessions[id].Calls, letters[fmt.Sprintf(`{"sessionId":%q}`, id)]
		want := map[sim.Kind]struct{ calls, letters int }{sim.OK: {1, 0}, sim.ServerError: {failures + 1, 0}, sim.CallerError: {1, 1}}[s.sim.kind(id)]
		if len(calls) != want.calls || letters != want.letters || sessions[id].Revoked() != (want.letters == 0) {
			t.Fatalf("%s: %d calls and %d dead letters, want %d and %d", id, len(calls), letters, want.calls, want.letters)
		}
		for n := 1; n < len(calls); n++ {
			least := time.Duration(float64(200*time.Millisecond) * math.Pow(2, float64(n-1)) / 2) // (1 − jitter) × interval
			if gap := calls[n].Began.Sub(calls[n-1].Ended); gap < least {
				t.Errorf("%s: attempt %d after %s, want at least %s", id, n+1, gap, least)
			}
		}
	}
	if log := w.stderr.String() + w.stdout.String(); strings.Contains(log, "SECRET") || strings.Count(log, `"msg":"settled"`) < events {
		t.Error("the log has a secret, or is not at debug")
	}
}

func TestSIGTERMLetsSlowCallsFinish(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{Latency: 3 * time.Second})
	s.startNATS()
	w := s.startWorker("REVOKER_CONCURRENCY=500", "REVOKER_REQUEST_TIMEOUT=30s")
	s.publish(0, 500)
	waitFor(t, "500 calls in flight", func() bool { return s.calls() == 500 })
	w.signal(syscall.SIGTERM)
	if code := w.wait(); code != 0 {
		t.Errorf("exit code %d; the log:\n%s", code, w.stderr.String())
	}
	revoked := 0
	for id, session := range s.sessions() {
		if len(session.Calls) != 1 || session.Calls[0].Kind != sim.OK {
			t.Errorf("%s: %+v", id, session.Calls)
		}
		revoked++
	}
	if revoked != 500 {
		t.Errorf("%d revoked, want 500", revoked)
	}
	s.waitDone()
}

func TestSIGTERMHandsTheRestToAnotherWorkerAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{Latency: 5 * time.Second})
	s.startNATS()
	// An ack wait beyond the test's end: what is not handed back would never come.
	first := s.startWorker("REVOKER_CONCURRENCY=500", "REVOKER_REQUEST_TIMEOUT=5m", "REVOKER_ACK_WAIT=10m", "REVOKER_DRAIN_TIMEOUT=1s")
	s.publish(0, 500)
	waitFor(t, "500 calls in flight", func() bool { return s.calls() == 500 })
	s.startWorker("REVOKER_CONCURRENCY=500", "REVOKER_REQUEST_TIMEOUT=5m", "REVOKER_ACK_WAIT=10m")
	first.signal(syscall.SIGTERM)
	if code := first.wait(); code != 0 {
		t.Errorf("exit code %d; the log:\n%s", code, first.stderr.String())
	}
	s.waitDone()
	sessions := s.sessions()
	for id, session := range sessions {
		if !session.Revoked() {
			t.Errorf("%s is not revoked", id)
		}
	}
	if len(sessions) != 500 {
		t.Errorf("%d sessions, want 500", len(sessions))
	}
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{Latency: time.Hour})
	s.startNATS()
	w := s.startWorker("REVOKER_DRAIN_TIMEOUT=10m", "REVOKER_REQUEST_TIMEOUT=10m")
	s.publish(0, 1)
	waitFor(t, "a call in flight", func() bool { return s.calls() == 1 })
	w.signal(os.Interrupt)
	waitFor(t, "the drain", func() bool { return strings.Contains(w.stderr.String(), "draining") })
	w.signal(os.Interrupt)
	if code := w.wait(); code != -1 {
		t.Errorf("exit code %d, want the signal's own end", code)
	}
}

// What was in flight, and what was acknowledged but not yet written by the server, is called twice; nothing is lost.
func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	const events, slots = 3000, 64
	s := newSite(t, simulator{Latency: 10 * time.Millisecond, Jitter: 10 * time.Millisecond, Bad: 1})
	s.startNATS()
	w := s.startWorker("REVOKER_ACK_WAIT=2s")
	s.publish(0, events)
	waitFor(t, "the middle of the run", func() bool { return s.info().Delivered.Stream > events/2 })
	w.signal(syscall.SIGKILL)
	w.wait()
	if s.info().Delivered.Stream == events {
		t.Fatal("the worker had finished before it was killed")
	}
	s.startWorker("REVOKER_ACK_WAIT=2s")
	s.waitDone()
	sessions, letters, twice := s.sessions(), s.deadLetters("CALLER_ERROR"), 0
	for i := range events {
		id := fmt.Sprintf("SECRET-session-%d", i)
		session, letters := sessions[id], letters[fmt.Sprintf(`{"sessionId":%q}`, id)]
		if bad := s.sim.kind(id) == sim.CallerError; session.Revoked() == bad || (letters == 1) != bad || letters > 1 {
			t.Errorf("%s: revoked %v, %d dead letters", id, session.Revoked(), letters)
		}
		if len(session.Calls) > 1 {
			twice++
		}
	}
	if twice > 2*slots {
		t.Errorf("%d sessions were called twice, want at most %d", twice, 2*slots)
	}
	t.Logf("%d sessions were called twice", twice)
}

func TestItStartsBeforeNATSAndOutlivesIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	w := start(t, s.env(), binary(t, "revoker"), "run")
	waitFor(t, "word that it waits", func() bool { return strings.Contains(w.stderr.String(), "NATS is not reachable yet") })
	server := s.startNATS()
	waitFor(t, "worker", func() bool { return strings.Contains(w.stderr.String(), `"msg":"working"`) })
	s.publish(0, 10)
	s.waitDone()
	server.signal(syscall.SIGKILL)
	server.wait()
	waitFor(t, "word of the disconnection", func() bool { return strings.Contains(w.stderr.String(), "disconnected from NATS") })
	s.startNATS()
	s.publish(10, 20)
	s.waitDone()
	waitFor(t, "20 sessions", func() bool { return len(s.sessions()) == 20 })
	w.signal(syscall.SIGTERM)
	if code := w.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, once := range []string{"NATS is not reachable yet", "disconnected from NATS", "reconnected to NATS"} {
		if n := strings.Count(w.stderr.String(), once); n != 1 {
			t.Errorf("%q %d times, want once:\n%s", once, n, w.stderr.String())
		}
	}
}

func TestAConsumerThatBreaksThePromiseIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	s.startNATS()
	if _, err := s.js.CreateStream(s.deadline(), jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.CreateConsumer(s.deadline(), "SESSIONS", jetstream.ConsumerConfig{Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 5}); err != nil {
		t.Fatal(err)
	}
	w := start(t, s.env(), binary(t, "revoker"), "run")
	if code := w.wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{"max deliver is 5, not unlimited", "revoker setup", "REVOKER_CONSUMER"} {
		if !strings.Contains(w.stderr.String(), want) {
			t.Errorf("no %q in:\n%s", want, w.stderr.String())
		}
	}
}

package systemtest

import (
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// The main job, each part a process of its own: 10% of 10,000 sessions answer SERVER_ERROR three times, 1% CALLER_ERROR.
func TestTenThousandEvents(t *testing.T) {
	t.Parallel()
	const events = 10_000
	s := testsite.New(t, testsite.Simulator{Failing: 10, Bad: 1, Latency: 2 * time.Millisecond, Jitter: 4 * time.Millisecond})
	s.StartNATS()
	// The breaker never asks for a second opinion: that is a further call of a session, and this test counts calls exactly.
	w := s.StartWorker("REVOKER_BREAKER_FAILURES=10000")
	s.Publish(0, events)
	s.WaitDone()
	w.Signal(syscall.SIGTERM)
	if code := w.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	sessions, letters := s.Sessions(), s.DeadLetters("CALLER_ERROR")
	if len(sessions) != events || len(letters) != events/100 {
		t.Errorf("%d sessions were called and %d dead-lettered, want %d and %d", len(sessions), len(letters), events, events/100)
	}
	for i := range events {
		id := fmt.Sprintf("SECRET-session-%d", i)
		calls, letters := sessions[id].Calls, letters[fmt.Sprintf(`{"sessionId":%q}`, id)]
		want := map[sim.Kind]struct{ calls, letters int }{sim.OK: {1, 0}, sim.ServerError: {testsite.Failures + 1, 0}, sim.CallerError: {1, 1}}[s.Sim.Kind(id)]
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
	if log := w.Stderr.String() + w.Stdout.String(); strings.Contains(log, "SECRET") || strings.Count(log, `"msg":"settled"`) < events {
		t.Error("the log has a secret, or is not at debug")
	}
}

func TestSIGTERMLetsSlowCallsFinish(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Latency: 8 * time.Second})
	s.StartNATS()
	w := s.StartWorker("REVOKER_CONCURRENCY=100", "REVOKER_REQUEST_TIMEOUT=30s")
	s.Publish(0, 100)
	testproc.WaitFor(t, "100 calls in flight", func() bool { return s.Calls() == 100 })
	w.Signal(syscall.SIGTERM)
	if code := w.Wait(); code != 0 {
		t.Errorf("exit code %d; the log:\n%s", code, w.Stderr.String())
	}
	revoked := 0
	for id, session := range s.Sessions() {
		if len(session.Calls) != 1 || session.Calls[0].Kind != sim.OK {
			t.Errorf("%s: %+v", id, session.Calls)
		}
		revoked++
	}
	if revoked != 100 {
		t.Errorf("%d revoked, want 100", revoked)
	}
	s.WaitDone()
}

func TestSIGTERMHandsTheRestToAnotherWorkerAtOnce(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Latency: 8 * time.Second})
	s.StartNATS()
	// An ack wait beyond the test's end: what is not handed back would never come.
	first := s.StartWorker("REVOKER_CONCURRENCY=100", "REVOKER_REQUEST_TIMEOUT=5m", "REVOKER_ACK_WAIT=10m", "REVOKER_DRAIN_TIMEOUT=1s")
	s.Publish(0, 100)
	testproc.WaitFor(t, "100 calls in flight", func() bool { return s.Calls() == 100 })
	s.StartWorker("REVOKER_CONCURRENCY=100", "REVOKER_REQUEST_TIMEOUT=5m", "REVOKER_ACK_WAIT=10m")
	first.Signal(syscall.SIGTERM)
	if code := first.Wait(); code != 0 {
		t.Errorf("exit code %d; the log:\n%s", code, first.Stderr.String())
	}
	s.WaitDone()
	sessions := s.Sessions()
	for id, session := range sessions {
		if !session.Revoked() {
			t.Errorf("%s is not revoked", id)
		}
	}
	if len(sessions) != 100 {
		t.Errorf("%d sessions, want 100", len(sessions))
	}
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Latency: time.Hour})
	s.StartNATS()
	w := s.StartWorker("REVOKER_DRAIN_TIMEOUT=10m", "REVOKER_REQUEST_TIMEOUT=10m")
	s.Publish(0, 1)
	testproc.WaitFor(t, "a call in flight", func() bool { return s.Calls() == 1 })
	w.Signal(os.Interrupt)
	testproc.WaitFor(t, "the drain", func() bool { return strings.Contains(w.Stderr.String(), "draining") })
	w.Signal(os.Interrupt)
	if code := w.Wait(); code != -1 {
		t.Errorf("exit code %d, want the signal's own end", code)
	}
}

// What was in flight, and what was acknowledged but not yet written by the server, is called twice; nothing is lost.
func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	const events, slots = 3000, 64
	// So slow that no pause lets the worker finish before it is killed.
	s := testsite.New(t, testsite.Simulator{Latency: 250 * time.Millisecond, Jitter: 250 * time.Millisecond, Bad: 1})
	s.StartNATS()
	// With the usual ack wait a pause lets nobody else have the events of a worker that lives.
	w := s.StartWorker()
	s.Publish(0, events)
	testproc.WaitFor(t, "the middle of the run", func() bool { return s.Info().Delivered.Stream > events/4 })
	w.Signal(syscall.SIGKILL)
	w.Wait()
	if s.Info().Delivered.Stream == events {
		t.Fatal("the worker had finished before it was killed")
	}
	s.StartWorker()
	s.WaitDone()
	sessions, letters, twice := s.Sessions(), s.DeadLetters("CALLER_ERROR"), 0
	for i := range events {
		id := fmt.Sprintf("SECRET-session-%d", i)
		session, letters := sessions[id], letters[fmt.Sprintf(`{"sessionId":%q}`, id)]
		if bad := s.Sim.Kind(id) == sim.CallerError; session.Revoked() == bad || (letters == 1) != bad || letters > 1 {
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
	s := testsite.New(t, testsite.Simulator{})
	w := testproc.Start(t, s.Env(), testproc.Binary(t, "revoker"), "run")
	testproc.WaitFor(t, "word that it waits", func() bool { return strings.Contains(w.Stderr.String(), "NATS is not reachable yet") })
	server := s.StartNATS()
	testproc.WaitFor(t, "worker", func() bool { return strings.Contains(w.Stderr.String(), `"msg":"working"`) })
	s.Publish(0, 10)
	s.WaitDone()
	server.Signal(syscall.SIGKILL)
	server.Wait()
	testproc.WaitFor(t, "word of the disconnection", func() bool { return strings.Contains(w.Stderr.String(), "disconnected from NATS") })
	s.StartNATS()
	s.Publish(10, 20)
	s.WaitDone()
	testproc.WaitFor(t, "20 sessions", func() bool { return len(s.Sessions()) == 20 })
	w.Signal(syscall.SIGTERM)
	if code := w.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, once := range []string{"NATS is not reachable yet", "disconnected from NATS", "reconnected to NATS"} {
		if n := strings.Count(w.Stderr.String(), once); n != 1 {
			t.Errorf("%q %d times, want once:\n%s", once, n, w.Stderr.String())
		}
	}
}

func TestAConsumerThatBreaksThePromiseIsRefused(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	if _, err := s.JS.CreateStream(s.Deadline(), jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.JS.CreateConsumer(s.Deadline(), "SESSIONS", jetstream.ConsumerConfig{Durable: "revoker", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 5}); err != nil {
		t.Fatal(err)
	}
	w := testproc.Start(t, s.Env(), testproc.Binary(t, "revoker"), "run")
	if code := w.Wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{"max deliver is 5, not unlimited", "`revoker setup` changes max deliver"} {
		if !strings.Contains(w.Stderr.String(), want) {
			t.Errorf("no %q in:\n%s", want, w.Stderr.String())
		}
	}
}

package systemtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"revoker/events/admin"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Failing: 10, Bad: 10})
	s.StartNATS()
	s.Says(1, nil, []string{"status"}, "stream does not exist", "revoker setup")
	s.Says(0, nil, []string{"setup"})
	s.Publish(0, 100)
	testproc.WaitFor(t, "the backlog", func() bool { return s.Status().Backlog == 100 })
	if got := s.Status(); got.Unsettled != 0 || got.Oldest == nil || got.Oldest.Sequence != 1 || len(got.Workers) != 0 ||
		got.DeadLetters.Total != 0 || got.MaxAge != 7*24*3600 {
		t.Errorf("before any worker: %+v", got)
	}
	s.Says(0, nil, []string{"status"}, "backlog            100", "sequence 1", "dead letters       0", "workers            none answered")

	// Failing sessions wait for an hour: ten are left, the first of them sequence 1.
	w := s.StartWorker("REVOKER_RETRY_INITIAL_INTERVAL=1h", "REVOKER_RETRY_MAX_INTERVAL=1h", "REVOKER_RETRY_JITTER=0")
	var got admin.Status
	testproc.WaitFor(t, "all but the retries", func() bool {
		got = s.Status()
		return got.Backlog == 0 && got.Unsettled == 10 && got.Retrying != nil && *got.Retrying == 10 && got.DeadLetters.Total == 10
	})
	if *got.InFlight != 0 || got.Oldest.Sequence != 1 || got.DeadLetters.Reasons["CALLER_ERROR"] != 10 || got.DeadLetters.Counted != 10 ||
		len(got.Workers) != 1 || got.Workers[0].Breaker != "closed" || got.Workers[0].Name == "" || len(got.Unknown) != 0 {
		t.Errorf("%+v", got)
	}
	// A worker that stands still for a second answers too late.
	text := ""
	words := []string{"waiting for retry  10", "dead letters       10: CALLER_ERROR 10", "workers            1", "0 calls in flight",
		"time to revoked    live p50 ", "objective          99% within 5s: ", " of 90 live events missed it in 15 minutes"}
	testproc.WaitFor(t, "status that says all", func() bool {
		text = s.Says(0, nil, []string{"status"})
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
	})
	w.Signal(os.Interrupt)
	w.Wait()
}

// In-flight calls are told apart from retries, and a worker says why its breaker is open.
func TestStatusAsksTheWorkers(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Latency: testproc.Timeout})
	s.StartNATS()
	s.StartWorker("REVOKER_CONCURRENCY=5", "REVOKER_REQUEST_TIMEOUT=5m")
	s.Publish(0, 20)
	testproc.WaitFor(t, "calls", func() bool { return s.Calls() == 5 })
	testproc.WaitFor(t, "five in flight", func() bool { got := s.Status(); return got.InFlight != nil && *got.InFlight == 5 && got.Backlog == 15 })
	s.StartWorker("AUTHLETE_BEARER=another-token", "REVOKER_CONCURRENCY=5")
	testproc.WaitFor(t, "an open breaker", func() bool {
		text, _ := s.Say(nil, "status")
		return strings.Contains(strings.Join(strings.Fields(text), " "), " workers 2 ") && strings.Contains(text, "AUTHLETE_BEARER")
	})
}

// A domain that nobody serves is named by every command, and by a worker that waits for it.
func TestAWrongDomainIsNamed(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	wrong, want := []string{"NATS_JS_DOMAIN=nowhere"}, "nobody answers on $JS.nowhere.API.>"
	for _, args := range [][]string{{"status"}, {"setup"}, {"pause"}, {"check"}, {"dlq", "ls"}} {
		s.Says(1, s.Env(wrong...), args, want, "look at NATS_JS_DOMAIN")
	}
	w := testproc.Start(t, s.Env(wrong...), testproc.Binary(t, "revoker"), "run")
	testproc.WaitFor(t, "word of the domain", func() bool { return strings.Contains(w.Stderr.String(), want+"; look at NATS_JS_DOMAIN") })
}

// restricted starts NATS with the documented permissions for three users: worker, one that can be asked too, and operator;
// more are further users.
func restricted(s *testsite.Site, more string) {
	s.T.Helper()
	needed := documented(s.T, "The worker")
	const asked = "revoker.workers.SESSIONS.revoker"
	content := fmt.Sprintf(`authorization { users = [
		{user: admin, password: admin}
		{user: worker, password: pw, permissions: {publish: ["%[1]s"], subscribe: "_INBOX.>"}}
		{user: asked, password: pw, permissions: {publish: ["%[1]s", "_INBOX.>"], subscribe: ["_INBOX.>", "%[2]s"]}}
		{user: operator, password: pw, permissions: {publish: ["%[3]s"], subscribe: "_INBOX.>"}}
		%[4]s
	], timeout: 60 }`, strings.Join(needed, `", "`), asked, strings.Join(documented(s.T, "status, pause, resume, setup"), `", "`), more)
	file := filepath.Join(s.T.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		s.T.Fatal(err)
	}
	s.StartNATS("--config", file)
}

var asWorker, asAdmin = []string{"NATS_USER=worker", "NATS_PASSWORD=pw"}, []string{"NATS_USER=admin", "NATS_PASSWORD=admin"}

// The documented permissions are enough for the operator's commands.
func TestAnOperatorsAccount(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Bad: 10})
	restricted(s, "")
	operator := []string{"NATS_USER=operator", "NATS_PASSWORD=pw"}
	s.Says(0, operator, []string{"setup"}, "4 objects created")
	s.StartWorker("NATS_USER=asked", "NATS_PASSWORD=pw")
	s.Publish(0, 100)
	s.WaitDone()
	s.Says(0, append([]string{"REVOKER_ACK_WAIT=20s"}, operator...), []string{"setup", "--yes"}, "2 settings changed")
	s.Says(0, operator, []string{"pause"}, "paused")
	s.Publish(100, 101)
	var got admin.Status
	testproc.WaitFor(t, "the event that waits, and the worker's answer", func() bool {
		got = s.Status(operator...)
		return got.Backlog == 1 && len(got.Workers) == 1
	})
	if len(got.Unknown) != 0 || !got.Paused || got.Oldest == nil || got.DeadLetters.Reasons["CALLER_ERROR"] != 10 {
		t.Errorf("%+v", got)
	}
	s.Says(0, operator, []string{"resume"}, "resumed")
}

// A worker that may not be asked logs no trouble. A reader that may not see something says so.
func TestStatusWithRestrictedAccounts(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	restricted(s, `{user: deaf, password: pw, permissions: {publish: {deny: "_INBOX.>"}}}`)
	s.Says(0, asAdmin, []string{"setup"})
	mute := s.StartWorker(asWorker...)
	deaf := s.StartWorker("NATS_USER=deaf", "NATS_PASSWORD=pw")
	s.Publish(0, 10)
	s.WaitDone()
	for range 3 {
		s.Says(0, asAdmin, []string{"status"}, "workers            none answered")
	}
	for _, w := range []*testproc.Process{mute, deaf} {
		if lines := trouble(w.Stderr.String()); lines != "" {
			t.Errorf("a status that can't be told is logged as trouble:\n%s", lines)
		}
	}
	s.Publish(10, 20)
	mute.Signal(syscall.SIGKILL)
	deaf.Signal(syscall.SIGKILL)
	s.Says(0, asWorker, []string{"status"}, "backlog", "unknown", "permissions do not allow it")
	s.Says(1, asWorker, []string{"pause"}, "permissions do not allow it", "$JS.API.CONSUMER.PAUSE.SESSIONS.revoker")
	s.Says(1, append([]string{"REVOKER_ACK_WAIT=33s"}, asWorker...), []string{"setup", "--yes"}, "permissions do not allow it")
}

// Every command ends, with a clear error, where the server is away, takes connections and is silent, refuses the password,
// or has no JetStream.
func TestWithoutAServer(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	for _, args := range [][]string{{"status"}, {"status", "--watch"}, {"pause"}, {"resume"}, {"setup"}} {
		s.Says(1, nil, args, "connecting to NATS at nats://127.0.0.1:", "connection refused; see whether the server runs")
	}
	server := s.StartNATS()
	server.Signal(syscall.SIGSTOP)
	for _, args := range [][]string{{"status"}, {"setup"}} {
		s.Says(1, nil, args, "connecting to NATS at nats://127.0.0.1:")
	}
	server.Signal(syscall.SIGKILL)
	server.Wait()

	plain := testsite.New(t, testsite.Simulator{})
	startWithoutJetStream(plain)
	for _, args := range [][]string{{"status"}, {"pause"}, {"resume"}, {"setup"}} {
		plain.Says(1, nil, args, "JetStream is not enabled")
	}
	locked := testsite.New(t, testsite.Simulator{})
	restricted(locked, "")
	locked.Says(1, []string{"NATS_USER=worker", "NATS_PASSWORD=SECRET"}, []string{"status"}, "Authorization Violation")
}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"revoker/events/admin"
)

func (s *site) status(env ...string) (status admin.Status) {
	s.t.Helper()
	out, code := s.say(env, "status", "--json")
	if err := json.Unmarshal([]byte(out), &status); err != nil || code != 0 {
		s.t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	return status
}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{Failing: 10, Bad: 10})
	s.startNATS()
	s.says(1, nil, []string{"status"}, "stream does not exist", "revoker setup")
	s.says(0, nil, []string{"setup"})
	s.publish(0, 100)
	waitFor(t, "the backlog", func() bool { return s.status().Backlog == 100 })
	if got := s.status(); got.Unsettled != 0 || got.Oldest == nil || got.Oldest.Sequence != 1 || len(got.Workers) != 0 ||
		got.DeadLetters.Total != 0 || got.MaxAge != 7*24*3600 {
		t.Errorf("before any worker: %+v", got)
	}
	s.says(0, nil, []string{"status"}, "backlog            100", "sequence 1", "dead letters       0", "workers            none answered")

	// Failing sessions wait for an hour: ten are left, the first of them sequence 1.
	w := s.startWorker("REVOKER_RETRY_INITIAL_INTERVAL=1h", "REVOKER_RETRY_MAX_INTERVAL=1h", "REVOKER_RETRY_JITTER=0")
	waitFor(t, "all but the retries", func() bool {
		got := s.status()
		return got.Backlog == 0 && got.Retrying != nil && *got.Retrying == 10 && got.DeadLetters.Total == 10 && len(got.Workers) == 1
	})
	got := s.status()
	if *got.InFlight != 0 || got.Oldest.Sequence != 1 || got.DeadLetters.Reasons["CALLER_ERROR"] != 10 || got.DeadLetters.Counted != 10 ||
		got.Workers[0].Breaker != "closed" || got.Workers[0].Name == "" || len(got.Unknown) != 0 {
		t.Errorf("%+v", got)
	}
	s.says(0, nil, []string{"status"}, "waiting for retry  10", "dead letters       10: CALLER_ERROR 10", "workers            1", "0 calls in flight")
	w.signal(os.Interrupt)
	w.wait()
}

// In-flight calls are told apart from retries, and a worker says why its breaker is open.
func TestStatusAsksTheWorkers(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{Latency: testTimeout})
	s.startNATS()
	s.startWorker("REVOKER_CONCURRENCY=5", "REVOKER_REQUEST_TIMEOUT=5m")
	s.publish(0, 20)
	waitFor(t, "calls", func() bool { return s.calls() == 5 })
	waitFor(t, "five in flight", func() bool { got := s.status(); return got.InFlight != nil && *got.InFlight == 5 && got.Backlog == 15 })
	s.startWorker("AUTHLETE_BEARER=another-token", "REVOKER_CONCURRENCY=5")
	waitFor(t, "an open breaker", func() bool {
		text, _ := s.say(nil, "status")
		return strings.Contains(text, "workers                       2") || strings.Contains(text, "workers            2") && strings.Contains(text, "AUTHLETE_BEARER")
	})
}

// A domain that nobody serves is named by every command, and by a worker that waits for it.
func TestAWrongDomainIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	s.startNATS()
	wrong, want := []string{"NATS_JS_DOMAIN=nowhere"}, "nobody answers on $JS.nowhere.API.>: NATS_JS_DOMAIN"
	for _, args := range [][]string{{"status"}, {"setup"}, {"pause"}, {"check"}, {"dlq", "ls"}} {
		s.says(1, s.env(wrong...), args, want)
	}
	w := start(t, s.env(wrong...), binary(t, "revoker"), "run")
	waitFor(t, "word of the domain", func() bool { return strings.Contains(w.stderr.String(), want) })
}

// restricted starts NATS with the documented permissions for three users: worker, one that can be asked too, and operator;
// more are further users.
func (s *site) restricted(more string) {
	s.t.Helper()
	needed := documented(s.t, "The worker")
	const asked = "revoker.workers.SESSIONS.revoker"
	content := fmt.Sprintf(`authorization { users = [
		{user: admin, password: admin}
		{user: worker, password: pw, permissions: {publish: ["%[1]s"], subscribe: "_INBOX.>"}}
		{user: asked, password: pw, permissions: {publish: ["%[1]s", "_INBOX.>"], subscribe: ["_INBOX.>", "%[2]s"]}}
		{user: operator, password: pw, permissions: {publish: ["%[3]s"], subscribe: "_INBOX.>"}}
		%[4]s
	] }`, strings.Join(needed, `", "`), asked, strings.Join(documented(s.t, "status, pause, resume, setup"), `", "`), more)
	file := filepath.Join(s.t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.startNATS("--config", file)
}

var asWorker, asAdmin = []string{"NATS_USER=worker", "NATS_PASSWORD=pw"}, []string{"NATS_USER=admin", "NATS_PASSWORD=admin"}

// The documented permissions are enough for the operator's commands.
func TestAnOperatorsAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{Bad: 10})
	s.restricted("")
	operator := []string{"NATS_USER=operator", "NATS_PASSWORD=pw"}
	s.says(0, operator, []string{"setup"}, "3 objects created")
	s.startWorker("NATS_USER=asked", "NATS_PASSWORD=pw")
	s.publish(0, 100)
	s.waitDone()
	s.says(0, append([]string{"REVOKER_ACK_WAIT=20s"}, operator...), []string{"setup", "--yes"}, "1 setting changed")
	s.says(0, operator, []string{"pause"}, "paused")
	s.publish(100, 101)
	waitFor(t, "the event that waits", func() bool { return s.status(operator...).Backlog == 1 })
	got := s.status(operator...)
	if len(got.Unknown) != 0 || !got.Paused || got.Oldest == nil || got.DeadLetters.Reasons["CALLER_ERROR"] != 10 || len(got.Workers) != 1 {
		t.Errorf("%+v", got)
	}
	s.says(0, operator, []string{"resume"}, "resumed")
}

// A worker that may not be asked is no worker in trouble, and what a reader may not see it says.
func TestStatusWithRestrictedAccounts(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	s.restricted(`{user: deaf, password: pw, permissions: {publish: {deny: "_INBOX.>"}}}`)
	s.says(0, asAdmin, []string{"setup"})
	mute := s.startWorker(asWorker...)
	deaf := s.startWorker("NATS_USER=deaf", "NATS_PASSWORD=pw")
	s.publish(0, 10)
	s.waitDone()
	for range 3 {
		s.says(0, asAdmin, []string{"status"}, "workers            none answered")
	}
	for _, w := range []*process{mute, deaf} {
		if log := w.stderr.String(); strings.Contains(log, `"level":"WARN"`) || strings.Contains(log, `"level":"ERROR"`) {
			t.Errorf("a status that can't be told is logged as trouble:\n%s", log)
		}
	}
	s.publish(10, 20)
	mute.signal(syscall.SIGKILL)
	deaf.signal(syscall.SIGKILL)
	s.says(0, asWorker, []string{"status"}, "backlog", "unknown", "permissions do not allow it")
	s.says(1, asWorker, []string{"pause"}, "permissions do not allow it", "$JS.API.CONSUMER.PAUSE.SESSIONS.revoker")
	s.says(1, append([]string{"REVOKER_ACK_WAIT=33s"}, asWorker...), []string{"setup", "--yes"}, "permissions do not allow it")
}

// Every command ends, with a clear error, where the server is away, takes connections and is silent, refuses the password,
// or has no JetStream.
func TestWithoutAServer(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	for _, args := range [][]string{{"status"}, {"status", "--watch"}, {"pause"}, {"resume"}, {"setup"}} {
		s.says(1, nil, args, "connecting to NATS at nats://127.0.0.1:", "no servers available")
	}
	server := s.startNATS()
	server.signal(syscall.SIGSTOP)
	for _, args := range [][]string{{"status"}, {"setup"}} {
		s.says(1, nil, args, "connecting to NATS at nats://127.0.0.1:")
	}
	server.signal(syscall.SIGKILL)
	server.wait()

	plain := newSite(t, simulator{})
	plain.startWithoutJetStream()
	for _, args := range [][]string{{"status"}, {"pause"}, {"resume"}, {"setup"}} {
		plain.says(1, nil, args, "JetStream is not enabled")
	}
	locked := newSite(t, simulator{})
	locked.restricted("")
	locked.says(1, []string{"NATS_USER=worker", "NATS_PASSWORD=SECRET"}, []string{"status"}, "Authorization Violation")
}

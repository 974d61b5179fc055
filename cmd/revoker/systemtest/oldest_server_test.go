//go:build tools

package systemtest

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"revoker/events/admin"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// TestTheOldestServer works with the oldest NATS server that is supported, Debian 12's: with plain terminations, and without
// pause. All other tests have the newest.
func TestTheOldestServer(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("nats-server")
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.Command(program, "--version").Output()
	if err != nil || !strings.Contains(string(version), "v2.9.") {
		t.Fatalf("%s is %s: %v", program, version, err)
	}
	s := testsite.New(t, testsite.Simulator{Bad: 10, Failing: 10})
	s.Server = program
	server := s.StartNATS()
	s.Says(0, []string{"REVOKER_BULK_SUBJECT="}, []string{"setup"}, "3 objects created")
	// It takes no consumer for a subject that the stream does not store yet.
	s.Says(0, nil, []string{"setup", "--yes"}, "1 object created, 1 setting changed")
	const receipts = "REVOKER_RECEIPTS=true"
	s.Says(0, []string{receipts}, []string{"setup"}, "1 object created")
	w := s.StartWorker(receipts)
	s.Publish(0, 200)
	s.WaitDone()
	if n := len(s.DeadLetters("CALLER_ERROR")); n != 20 {
		t.Errorf("%d dead letters, want 20", n)
	}
	for id, session := range s.Sessions() {
		if bad := s.Sim.Kind(id) == sim.CallerError; session.Revoked() == bad {
			t.Errorf("%s: revoked %v", id, session.Revoked())
		}
	}
	for id, code := range map[string]int{"SECRET-session-50": 0, "SECRET-session-10": 4, "nobody": 5} {
		if out, got := s.Say([]string{"AUTHLETE_SERVICE_ID=" + testsite.ServiceID}, "session", id); got != code {
			t.Errorf("session %s: exit code %d, want %d: %s", id, got, code, out)
		}
	}
	wants(t, s.Check(0, nil), admin.Warning, "NATS server version", "2.11")
	s.Says(0, nil, []string{"status"}, "dead letters", "workers")
	s.Says(1, nil, []string{"pause"}, "a consumer can be paused from 2.11 on", "Stop the workers instead")
	s.Says(0, nil, []string{"dlq", "ls"}, "CALLER_ERROR")
	s.Says(0, nil, []string{"dlq", "rm", "1", "--yes"})
	s.Says(0, nil, []string{"dlq", "replay", "2", "--yes"})
	s.Says(0, []string{"REVOKER_ACK_WAIT=20s"}, []string{"setup", "--yes"}, "2 settings changed")

	// What a restart of the server interrupts goes on.
	server.Signal(syscall.SIGKILL)
	server.Wait()
	s.StartNATS()
	s.Publish(200, 300)
	s.WaitDone()
	if log := w.Stderr.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the worker had trouble:\n%s", log)
	}
}

//go:build tools

package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"revoker/events/admin"
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
	s := newSite(t, simulator{Bad: 10, Failing: 10})
	s.server = program
	server := s.startNATS()
	s.says(0, nil, []string{"setup"}, "3 objects created")
	w := s.startWorker()
	s.publish(0, 200)
	s.waitDone()
	if n := len(s.deadLetters("CALLER_ERROR")); n != 20 {
		t.Errorf("%d dead letters, want 20", n)
	}
	for id, session := range s.sessions() {
		if bad := s.sim.kind(id) == sim.CallerError; session.Revoked() == bad {
			t.Errorf("%s: revoked %v", id, session.Revoked())
		}
	}
	wants(t, s.check(0, nil), admin.Warning, "NATS server version", "2.11")
	s.says(0, nil, []string{"status"}, "dead letters", "workers")
	s.says(1, nil, []string{"pause"}, "a consumer can be paused from 2.11 on", "Stop the workers instead")
	s.says(0, nil, []string{"dlq", "ls"}, "CALLER_ERROR")
	s.says(0, nil, []string{"dlq", "rm", "1", "--yes"})
	s.says(0, nil, []string{"dlq", "replay", "2", "--yes"})
	s.says(0, []string{"REVOKER_ACK_WAIT=20s"}, []string{"setup", "--yes"}, "1 setting changed")

	// What a restart of the server interrupts goes on.
	server.signal(syscall.SIGKILL)
	server.wait()
	s.startNATS()
	s.publish(200, 300)
	s.waitDone()
	if log := w.stderr.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the worker had trouble:\n%s", log)
	}
}

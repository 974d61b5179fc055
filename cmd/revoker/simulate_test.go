package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The simulated API that a trial installation runs: a worker revokes, retries and dead-letters its samples.
func TestSimulate(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	s.startNATS()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.apiURL = "http://" + address
	simulation := start(t, s.env(), binary(t, "revoker"), "simulate", "--addr", address, "--rate", "100")
	waitFor(t, "simulated API", func() bool { return strings.Contains(simulation.stderr.String(), "serving a simulated logout API") })
	w := s.startWorker()
	for _, outcome := range []string{"revoked", "retry", "caller_error", "invalid"} {
		waitFor(t, outcome, func() bool { return strings.Contains(w.stderr.String(), `"outcome":"`+outcome+`"`) })
	}
	stranger := s.startWorker("AUTHLETE_BEARER=another-token")
	waitFor(t, "refused token", func() bool { return strings.Contains(stranger.stderr.String(), "AUTHLETE_BEARER") })
	simulation.signal(os.Interrupt)
	if code := simulation.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, simulation.stderr.String())
	}
}

// Before NATS is there it says so, and not that the server knows no headers.
func TestSimulateSaysThatNATSIsNotReachable(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"NATS_URL=nats://127.0.0.1:1"}, binary(t, "revoker"), "simulate", "--addr", "127.0.0.1:0", "--rate", "100")
	waitFor(t, "sample that is not published", func() bool { return strings.Contains(p.stderr.String(), "a sample event was not published") })
	if text := p.stderr.String(); !strings.Contains(text, "NATS is not reachable") || strings.Contains(text, "headers not supported") {
		t.Errorf("it says\n%s", text)
	}
}

package systemtest

import (
	"os"
	"strings"
	"testing"

	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// The simulated API that a trial installation runs: a worker revokes, retries and dead-letters its samples.
func TestSimulate(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	address := testport.Address(t)
	s.APIURL = "http://" + address
	simulation := testproc.Start(t, s.Env(), testproc.Binary(t, "revoker"), "simulate", "--addr", address, "--rate", "100")
	testproc.WaitFor(t, "simulated API", func() bool { return strings.Contains(simulation.Stderr.String(), "serving a simulated logout API") })
	w := s.StartWorker()
	for _, outcome := range []string{"revoked", "retry", "caller_error", "invalid"} {
		testproc.WaitFor(t, outcome, func() bool { return strings.Contains(w.Stderr.String(), `"outcome":"`+outcome+`"`) })
	}
	stranger := s.StartWorker("AUTHLETE_BEARER=another-token")
	testproc.WaitFor(t, "refused token", func() bool { return strings.Contains(stranger.Stderr.String(), "AUTHLETE_BEARER") })
	simulation.Signal(os.Interrupt)
	if code := simulation.Wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, simulation.Stderr.String())
	}
}

// Before NATS is there it says so, and not that the server knows no headers.
func TestSimulateSaysThatNATSIsNotReachable(t *testing.T) {
	t.Parallel()
	p := testproc.Start(t, []string{"NATS_URL=nats://127.0.0.1:1"}, testproc.Binary(t, "revoker"), "simulate", "--addr", "127.0.0.1:0", "--rate", "100")
	testproc.WaitFor(t, "sample that is not published", func() bool { return strings.Contains(p.Stderr.String(), "a sample event was not published") })
	if text := p.Stderr.String(); !strings.Contains(text, "NATS is not reachable") || strings.Contains(text, "headers not supported") {
		t.Errorf("it says\n%s", text)
	}
}

// Without samples it is the API alone, for an installation whose NATS server it need not know.
func TestSimulateWithoutSamplesNeedsNoNATS(t *testing.T) {
	t.Parallel()
	p := testproc.Start(t, []string{"NATS_URL=nats://127.0.0.1:1"}, testproc.Binary(t, "revoker"), "simulate", "--addr", "127.0.0.1:0", "--rate", "0")
	testproc.WaitFor(t, "simulated API", func() bool { return strings.Contains(p.Stderr.String(), "serving a simulated logout API") })
	p.Signal(os.Interrupt)
	if code := p.Wait(); code != 0 || strings.Contains(p.Stderr.String(), "NATS") {
		t.Errorf("exit code %d: %s", code, p.Stderr.String())
	}
}

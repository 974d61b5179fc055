package systemtest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// With few file descriptors a worker makes fewer calls at a time and says so. Its health endpoints answer, and it does not
// blame the API.
func TestFewFileDescriptors(t *testing.T) {
	t.Parallel()
	const events = 500
	s := testsite.New(t, testsite.Simulator{Latency: 5 * time.Millisecond})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"})
	s.Publish(0, events)
	ops := testport.Address(t)
	w := testproc.Start(t, s.Env("REVOKER_CONCURRENCY=64", "REVOKER_OPS_ADDR="+ops, "BINARY="+testproc.Binary(t, "revoker")),
		"/bin/sh", "-c", `ulimit -n 40 && exec "$BINARY" run`)
	client := &http.Client{Timeout: testproc.Timeout}
	answers := 0
	testproc.WaitFor(t, "end of the backlog", func() bool {
		response, err := client.Get("http://" + ops + "/livez")
		switch {
		case err == nil:
			_ = response.Body.Close()
			answers++
		case answers > 0:
			t.Fatalf("no answer of /livez: %v", err)
		}
		return len(s.Sessions()) == events
	})
	s.WaitDone()
	log := w.Stderr.String()
	if answers == 0 || !strings.Contains(log, "enough for one call in flight") || strings.Contains(log, "circuit breaker opened") {
		t.Errorf("%d answers of /livez; the log:\n%s", answers, log)
	}
}

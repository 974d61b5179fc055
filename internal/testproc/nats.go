package testproc

import (
	"testing"

	"revoker/events/embedded"
)

// StartNATS starts a NATS server inside the test's process, on a free port, for the length of the test.
func StartNATS(t testing.TB) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(embedded.RandomPort, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

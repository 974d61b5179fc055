package testproc

import (
	"testing"

	"revoker/events/embedded"
	"revoker/internal/testport"
)

// StartNATS starts a NATS server inside the test's process, on a port of its own, for the length of the test.
func StartNATS(t testing.TB) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(testport.Free(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

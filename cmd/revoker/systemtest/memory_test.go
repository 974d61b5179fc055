package systemtest

import (
	"strings"
	"testing"

	"revoker/internal/testsite"
)

// A worker whose limit can't hold its concurrency says so when it starts.
func TestAWorkerWarnsOfItsMemoryLimit(t *testing.T) {
	t.Parallel()
	const warning = "the memory limit is too small for the concurrency"
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	small := s.StartWorker("GOMEMLIMIT=300MiB", "REVOKER_CONCURRENCY=16384")
	if text := small.Stderr.String(); !strings.Contains(text, warning) || !strings.Contains(text, `"needs":"576MiB","limit":"300MiB","limit_of":"GOMEMLIMIT"`) {
		t.Errorf("it says\n%s", text)
	}
	enough := s.StartWorker("GOMEMLIMIT=300MiB")
	if text := enough.Stderr.String(); strings.Contains(text, warning) {
		t.Errorf("it says\n%s", text)
	}
}

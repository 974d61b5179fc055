// Package bench measures the built binary: throughput, CPU, memory, latency, outages, publishing and dead letters, beside what
// one would write without it. CONTRIBUTING.md has the command.
package bench

import (
	"os"
	"testing"

	"revoker/internal/testsite"
)

// TestMain serves as a loop to compare with, too.
func TestMain(m *testing.M) {
	if name := os.Getenv(baselineVariable); name != "" {
		os.Exit(runBaseline(name))
	}
	os.Exit(testsite.Main(m))
}

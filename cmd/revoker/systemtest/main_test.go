// Package systemtest runs the built binary against real processes: NATS servers, alone and in clusters, and a simulated API, with
// faults of all of them.
package systemtest

import (
	"os"
	"testing"

	"revoker/internal/testsite"
)

func TestMain(m *testing.M) { os.Exit(testsite.Main(m)) }

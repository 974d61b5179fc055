// Package testleak looks after the tests of a package whether a goroutine is left. Tests alone import it.
package testleak

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"revoker/internal/testproc"
)

// Main runs the tests of a package and fails if a goroutine is left. One that is about to end has as long for that as whatever else a
// test waits for. goleak's own VerifyTestMain gives up after half a second, in which a goroutine on a busy machine may not have run.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		left := goleak.Find(options...)
		for end := time.Now().Add(testproc.Timeout); left != nil && time.Now().Before(end); {
			left = goleak.Find(options...)
		}
		if left != nil {
			fmt.Fprintf(os.Stderr, "the tests passed, but %v\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

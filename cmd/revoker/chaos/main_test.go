// Package chaos runs an installation of real processes through an hour of faults, or as long as it is told, and holds what the API,
// the dead letters and the receipts saw against the promise. worker/RELIABILITY.md has results.
package chaos

import (
	"flag"
	"os"
	"testing"
	"time"

	"revoker/internal/testsite"
)

var (
	duration = flag.Duration("chaos.duration", 15*time.Second, "how long faults are injected")
	seed     = flag.Uint64("chaos.seed", 1, "the same seed injects the same faults in the same order")
	rate     = flag.Float64("chaos.rate", 300, "events per second that the sources aim at")
	only     = flag.String("chaos.only", "", "a regular expression: inject only the kinds of faults that it matches")
	allKinds = flag.Bool("chaos.all", false, "fail if a kind of fault can't be injected on this machine")
)

func TestMain(m *testing.M) { os.Exit(testsite.Main(m)) }

// TestChaos injects faults, one after another and sometimes two at once, while events come in by all ways.
func TestChaos(t *testing.T) {
	t.Parallel()
	c := newChaos(t)
	c.start()
	c.injectFaults(*duration)
	c.settle()
	c.check()
	c.report()
}

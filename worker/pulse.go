package worker

import (
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// pulseInterval is how often a loop comes round at least, though nothing has changed.
	pulseInterval = 5 * time.Second
	// pulseGrace is how late it may be. No step of a loop that waits for nothing outside takes nearly as long.
	pulseGrace = 30 * time.Second
)

// pulse is a loop's promise to come round by a certain time. While the loop waits for something outside this process it
// promises nothing. One goroutine beats, any may look.
type pulse struct {
	due atomic.Int64 // ns after pulseEpoch; 0 for no promise
}

// pulseEpoch makes the times monotonic ones: the clock of a machine may be set.
var pulseEpoch = time.Now()

// beat promises the next beat, or rest, within d and the grace.
func (p *pulse) beat(d time.Duration) { p.due.Store(int64(time.Since(pulseEpoch) + d + pulseGrace)) }

// rest promises nothing.
func (p *pulse) rest() { p.due.Store(0) }

// late is how long the promise has been broken at now, 0 if it is not.
func (p *pulse) late(now time.Time) time.Duration {
	due := time.Duration(p.due.Load())
	if due == 0 {
		return 0
	}
	return max(now.Sub(pulseEpoch)-due, 0)
}

// Stuck names a loop that has not come round for too long, though it waits for nothing outside: a defect that only a
// restart mends. It is empty for a sound worker.
func (w *Worker) Stuck() string { return w.stuck(time.Now()) }

func (w *Worker) stuck(now time.Time) string {
	for _, loop := range []struct {
		name  string
		pulse *pulse
	}{{"pulling events", &w.valve.pulse}, {"renewing ack waits", &w.renewer.pulse}} {
		if late := loop.pulse.late(now); late > 0 {
			return fmt.Sprintf("%s has stood still for %s", loop.name, (late + pulseGrace).Round(time.Second))
		}
	}
	return ""
}

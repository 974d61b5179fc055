package worker

import (
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// heartbeatGrace is how late it may be. No step of a loop that waits for nothing outside takes nearly as long.
	heartbeatGrace = 30 * time.Second
)

// heartbeat is a loop's promise to come round by a certain time. While the loop waits for something outside this process it
// promises nothing. One goroutine beats, any may look.
type heartbeat struct {
	due atomic.Int64 // ns after epoch; 0 for no promise
}

// epoch makes times monotonic: the clock of a machine may be set, forward or back.
var epoch = time.Now()

// Beat promises the next beat, or rest, within d and the grace.
func (h *heartbeat) Beat(d time.Duration) { h.due.Store(int64(time.Since(epoch) + d + heartbeatGrace)) }

// Rest promises nothing.
func (h *heartbeat) Rest() { h.due.Store(0) }

// late is how long the promise has been broken at now, 0 if it is not.
func (h *heartbeat) late(now time.Time) time.Duration {
	due := time.Duration(h.due.Load())
	if due == 0 {
		return 0
	}
	return max(now.Sub(epoch)-due, 0)
}

// Stuck names a loop that has not come round for too long, though it waits for nothing outside: a defect that only a
// restart ends. It is empty for a sound worker.
func (w *Worker) Stuck() string { return w.stuck(time.Now()) }

func (w *Worker) stuck(now time.Time) string {
	for _, loop := range []struct {
		name      string
		heartbeat *heartbeat
	}{{"pulling events", w.pulling[0]}, {"pulling bulk events", w.pulling[1]}, {"renewing ack waits", &w.renewer.heartbeat}} {
		if late := loop.heartbeat.late(now); late > 0 {
			return fmt.Sprintf("%s has stood still for %s", loop.name, (late + heartbeatGrace).Round(time.Second))
		}
	}
	return ""
}

package worker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"revoker/config"
)

// heartbeatGrace is how late a heartbeat may be. No step that waits for nothing outside takes nearly as long.
const heartbeatGrace = 30 * time.Second

// heartbeat is a goroutine's promise to come round by a certain time. While it waits for something without an end of its own it
// promises nothing. One goroutine beats, any may look.
type heartbeat struct {
	began atomic.Int64 // ns after epoch
	due   atomic.Int64 // ns after epoch; 0 for no promise
}

// epoch makes times monotonic: the clock of a machine may be set, forward or back.
var epoch = time.Now()

// Beat promises the next beat, or rest, within d and the grace.
func (h *heartbeat) Beat(d time.Duration) {
	now := time.Since(epoch)
	h.began.Store(int64(now))
	h.due.Store(int64(now + d + heartbeatGrace))
}

// Rest promises nothing.
func (h *heartbeat) Rest() { h.due.Store(0) }

// late is how long the goroutine has stood still at now, if it has broken its promise; 0 if not.
func (h *heartbeat) late(now time.Time) time.Duration {
	due, at := time.Duration(h.due.Load()), now.Sub(epoch)
	if due == 0 || at <= due {
		return 0
	}
	return at - time.Duration(h.began.Load())
}

// slotNATS is how long a slot may wait for NATS at one event, all told. In the worst case it looks for the newest event of two lanes
// to tell whether the API works for others, and then publishes a dead letter. Each of these has 5 s, and may wait as long for a
// connection that is being written to or set up. See package conn.
const slotNATS = 40 * time.Second

// slotTime is how long a slot may take for one event: for its call, and for another one to see if the API works for others.
func slotTime(cfg config.Config) time.Duration { return 2*cfg.RequestTimeout + slotNATS }

// slotBeats are the heartbeats of those that make calls: the slots, the bypasses and the adviser.
type slotBeats struct {
	mu   sync.Mutex
	list map[*heartbeat]struct{}
}

// add returns a new heartbeat. remove must follow.
func (s *slotBeats) add() *heartbeat {
	h := &heartbeat{}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = map[*heartbeat]struct{}{}
	}
	s.list[h] = struct{}{}
	return h
}

func (s *slotBeats) remove(h *heartbeat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, h)
}

// late counts those that are, and says for how long the first of them has stood still.
func (s *slotBeats) late(now time.Time) (n int, longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.list {
		if late := h.late(now); late > 0 {
			n, longest = n+1, max(longest, late)
		}
	}
	return n, longest
}

// Stuck names a loop or a slot that has not come round for too long, though all that it waits for has an end: a defect, or a log that
// nobody takes, which only a restart ends. It is empty for a sound worker.
func (w *Worker) Stuck() string { return w.stuck(time.Now()) }

func (w *Worker) stuck(now time.Time) string {
	for _, loop := range []struct {
		name      string
		heartbeat *heartbeat
	}{{"pulling events", w.pulling[0]}, {"pulling bulk events", w.pulling[1]}, {"renewing ack waits", &w.renewer.heartbeat}} {
		if late := loop.heartbeat.late(now); late > 0 {
			return fmt.Sprintf("%s has stood still for %s", loop.name, late.Round(time.Second))
		}
	}
	return w.slotsLate(now)
}

func (w *Worker) slotsLate(now time.Time) string {
	n, late := w.slots.late(now)
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d slots stand still, for up to %s; a call ends after %s (REVOKER_REQUEST_TIMEOUT)",
		n, w.cfg.Concurrency, late.Round(time.Second), w.cfg.RequestTimeout)
}

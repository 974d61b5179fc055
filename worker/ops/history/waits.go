package history

import (
	"slices"
	"sync"
	"time"

	"revoker/worker"
)

const (
	// maxWaits bounds the events that are known one by one: those that are due soonest.
	maxWaits = 1000
	// waitGrain is how exact the count is.
	waitGrain = 100 * time.Millisecond
)

// waits knows the events that this worker handed back, until they are due: how many there are, and of those whose call failed, some
// one by one. From then on any worker may have them. It is safe for concurrent use.
type waits struct {
	now func() time.Time

	mu    sync.Mutex
	due   map[int64]int // events by when they are due, in grains since 1970
	swept int64         // the second in which what is past was last taken from due
	list  []*Wait       // soonest first
}

// Wait is an event that was handed back, with its last failed attempt.
type Wait struct {
	Due time.Time // the next attempt
	worker.Settlement
}

func newWaits() *waits { return &waits{now: time.Now, due: map[int64]int{}} }

// observe notes a settlement. It is called for each one: for an event that is settled at its first delivery it does nothing.
func (w *waits) observe(s worker.Settlement) {
	if s.Delay <= 0 && s.Deliveries <= 1 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.take(s)
	if s.Delay <= 0 {
		return
	}
	now := w.now()
	w.sweep(now)
	due := now.Add(s.Delay)
	w.due[due.UnixNano()/int64(waitGrain)]++
	if s.Outcome == worker.Deferred && s.Status == 0 { // no attempt was made: what is known of the last one stays
		if last == nil {
			return
		}
		s = last.Settlement
	}
	if len(w.list) == maxWaits {
		w.drop(now)
	}
	at, _ := slices.BinarySearchFunc(w.list, due, func(old *Wait, due time.Time) int { return old.Due.Compare(due) })
	if at == maxWaits {
		return
	}
	if len(w.list) == maxWaits {
		w.list = w.list[:maxWaits-1]
	}
	w.list = slices.Insert(w.list, at, &Wait{due, s})
}

// take takes an event that came back from the list. It returns nil for one that is not in it. The caller holds mu.
func (w *waits) take(s worker.Settlement) (old *Wait) {
	if s.Deliveries > 1 {
		if at := slices.IndexFunc(w.list, func(old *Wait) bool { return old.Sequence == s.Sequence }); at >= 0 {
			old = w.list[at]
			w.list = slices.Delete(w.list, at, at+1)
		}
	}
	return old
}

// drop forgets the events that are due: another worker may have them. The caller holds mu.
func (w *waits) drop(now time.Time) {
	w.list = slices.DeleteFunc(w.list, func(old *Wait) bool { return !old.Due.After(now) })
}

// sweep forgets the counts of what is due. The caller holds mu.
func (w *waits) sweep(now time.Time) {
	if w.swept == now.Unix() {
		return
	}
	w.swept = now.Unix()
	for grain := range w.due {
		if grain <= now.UnixNano()/int64(waitGrain) {
			delete(w.due, grain)
		}
	}
}

// count is how many events are not due yet.
func (w *waits) count() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now().UnixNano() / int64(waitGrain)
	for grain, events := range w.due {
		if grain > now {
			n += events
		}
	}
	return n
}

// Waits lists up to n of the events that are due next, soonest first, and how many it knows one by one. With stopped no worker takes
// any, so that those are listed too that are due already.
func (h *History) Waits(n int, stopped bool) (next []Wait, known int) {
	return h.waits.soonest(n, stopped)
}

func (w *waits) soonest(n int, stopped bool) (next []Wait, known int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !stopped {
		w.drop(w.now())
	}
	for _, wait := range w.list[:min(len(w.list), n)] {
		next = append(next, *wait)
	}
	return next, len(w.list)
}

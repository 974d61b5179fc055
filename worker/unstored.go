package worker

import (
	"sync"
	"time"
)

const (
	// maxUnstored bounds the events that stay in hand because their receipt or dead letter could not be stored. Each is renewed.
	maxUnstored = 4096
	// maxUnstoredDelay bounds the time between two tries to store one. A try costs no call.
	maxUnstoredDelay = 10 * time.Second
)

// unstored keeps events in hand whose receipt or dead letter could not be stored, until another try. The next delivery of an event
// that is handed back may go to another worker, which does not know what the API answered and calls again: with four workers each try
// would cost a call for three of four events.
type unstored struct {
	mu    sync.Mutex
	ended bool
	kept  map[*attempt]nextTry
}

type nextTry struct {
	timer *time.Timer
	again func()
}

// keep calls again after the delay, or at end. It reports whether it does: not once it has ended, nor with too many. What is kept
// counts until it is released.
func (u *unstored) keep(a *attempt, delay time.Duration, again func()) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, known := u.kept[a]
	if u.ended || !known && len(u.kept) >= maxUnstored {
		return false
	}
	if u.kept == nil {
		u.kept = map[*attempt]nextTry{}
	}
	u.kept[a] = nextTry{time.AfterFunc(delay, again), again}
	return true
}

// release forgets an event that is settled.
func (u *unstored) release(a *attempt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.kept, a)
}

// end makes the next try of each one the last, at once.
func (u *unstored) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	for _, next := range u.kept {
		if next.timer.Stop() { // otherwise it is being tried
			go next.again()
		}
	}
}

// keep lets an event wait in hand for another try to store its receipt or dead letter, and tells of the failure. It reports whether it
// does; if not, the event is to be handed back.
func (w *Worker) keep(a *attempt, failed attempt, again func()) bool {
	a.tries++
	delay := min(w.retries.Delay(a.tries), maxUnstoredDelay)
	w.confirms.Add(1)
	kept := w.unstored.keep(a, delay, func() {
		defer w.confirms.Done()
		again()
	})
	if !kept {
		w.confirms.Done()
		return false
	}
	w.settled(&failed, delay)
	return true
}

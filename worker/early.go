package worker

import (
	"sync"
	"sync/atomic"
	"time"

	"revoker/worker/authlete"
)

// maxEarly bounds the revocations that wait for their delivery.
const maxEarly = 16_384

// earlyCall is the call that revoked a session before its event was delivered.
type earlyCall struct {
	response authlete.Response
	began    time.Duration // since epoch
	took     time.Duration
}

// early remembers sessions that were revoked before their event was delivered to this worker, by a second opinion or a
// bypass. What it forgets costs one more call, which deletes nothing.
type early struct {
	waiting atomic.Int64 // how many are in done: mostly none, which costs no lock

	mu    sync.Mutex
	done  map[eventKey]earlyCall
	order []eventKey // of done, oldest first; some may have been taken
}

func (e *early) put(key eventKey, call earlyCall) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done == nil {
		e.done = map[eventKey]earlyCall{}
	}
	if _, known := e.done[key]; known {
		return // the first call is the one that deleted the tokens
	}
	if len(e.order) >= maxEarly {
		delete(e.done, e.order[0])
		e.order = e.order[1:]
	}
	e.done[key] = call
	e.order = append(e.order, key)
	e.waiting.Store(int64(len(e.done)))
}

// has reports whether the event's session was revoked already.
func (e *early) has(key eventKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, known := e.done[key]
	return known
}

// take returns the call that revoked the event's session already, and forgets it.
func (e *early) take(key eventKey) (earlyCall, bool) {
	if e.waiting.Load() == 0 {
		return earlyCall{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	call, known := e.done[key]
	delete(e.done, key)
	e.waiting.Store(int64(len(e.done)))
	return call, known
}

package worker

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"revoker/worker/authlete"
)

// maxEarly bounds the revocations that wait for their delivery. More can't wait for their next one (REVOKER_MAX_ACK_PENDING) by
// default.
const maxEarly = 50_000

// earlyCall is the call that revoked a session before this delivery of its event.
type earlyCall struct {
	response authlete.Response
	took     time.Duration // 0 if it was counted already
	answered time.Time
	attempts int // how often the event had been delivered by then; 0 for never
}

// early remembers sessions that were revoked before their event was delivered to this worker, by a second opinion or a
// bypass, and those whose receipt could not be published. What it forgets costs one more call, which deletes nothing.
type early struct {
	waiting atomic.Int64 // how many are in done: mostly none, which costs no lock

	mu    sync.Mutex
	done  map[eventKey]rememberedCall
	order []earlyOrder // oldest first; some may have been taken, or put again
	puts  uint64
}

type rememberedCall struct {
	earlyCall
	put uint64 // its number in order
}

type earlyOrder struct {
	key eventKey
	put uint64
}

func (e *early) put(key eventKey, call earlyCall) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done == nil {
		e.done = map[eventKey]rememberedCall{}
	}
	if _, known := e.done[key]; known {
		return // the first call is the one that deleted the tokens
	}
	for len(e.done) >= maxEarly {
		if e.current(e.order[0]) {
			delete(e.done, e.order[0].key)
		}
		e.order = e.order[1:]
	}
	if len(e.order) >= 2*maxEarly { // half of them at least were taken
		e.order = slices.DeleteFunc(e.order, func(o earlyOrder) bool { return !e.current(o) })
	}
	e.puts++
	e.done[key] = rememberedCall{call, e.puts}
	e.order = append(e.order, earlyOrder{key, e.puts})
	e.waiting.Store(int64(len(e.done)))
}

// current reports whether the call is still remembered. The caller holds mu.
func (e *early) current(o earlyOrder) bool { return e.done[o.key].put == o.put }

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
	return call.earlyCall, known
}

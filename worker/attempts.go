package worker

import (
	"sync"
	"time"

	"revoker/events"
	"revoker/events/peer"
)

// maxNextAttempts bounds the events whose next attempt is known: more can't wait for it (REVOKER_MAX_ACK_PENDING) by default. They
// take some 10 MB.
const maxNextAttempts = 50_000

// NextAttempts knows when the events that this worker handed back are delivered again, for `revoker session`. JetStream does not
// tell. Its zero value is ready. It is safe for concurrent use.
type NextAttempts struct {
	mu     sync.Mutex
	events map[uint64]nextAttempt // by sequence
}

type nextAttempt struct {
	session events.SessionID // a sequence means another event in a stream that was created anew
	peer.NextAttempt
}

// Observe notes a settlement. For an event that is settled at its first delivery it does nothing.
func (n *NextAttempts) Observe(s Settlement) {
	if s.Delay <= 0 && s.Deliveries <= 1 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	last := n.events[s.Sequence]
	delete(n.events, s.Sequence)
	if s.Delay <= 0 || s.Session == "" {
		return
	}
	if n.events == nil {
		n.events = map[uint64]nextAttempt{}
	}
	for sequence := range n.events { // any of them
		if len(n.events) < maxNextAttempts {
			break
		}
		delete(n.events, sequence)
	}
	next := nextAttempt{s.Session, peer.NextAttempt{Attempts: s.Deliveries, Due: time.Now().Add(s.Delay), Status: s.Status, ResultCode: s.ResultCode}}
	if s.Status == 0 { // no attempt was made: what is known of the last one stays
		next.Status, next.ResultCode = last.Status, last.ResultCode
	}
	n.events[s.Sequence] = next
}

// Of is what is known of the event at a sequence, of a session with the mask; nil for nothing.
func (n *NextAttempts) Of(sequence uint64, mask string) *peer.NextAttempt {
	n.mu.Lock()
	defer n.mu.Unlock()
	next, known := n.events[sequence]
	if !known || next.session.Mask() != mask {
		return nil
	}
	return &next.NextAttempt
}

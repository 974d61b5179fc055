package main

import (
	"testing"
	"time"
)

// Calls of 9 s, with the default ack wait of 10 s and two workers that share the backlog: each is made once.
func TestASlowCallIsMadeByOneWorkerOnce(t *testing.T) {
	t.Parallel()
	const events = 100
	s := newSite(t, simulator{Latency: 9 * time.Second})
	s.startNATS()
	for range 2 {
		s.startWorker("REVOKER_REQUEST_TIMEOUT=30s", "REVOKER_CONCURRENCY=32")
	}
	s.publish(0, events)
	s.waitDone()
	sessions := s.sessions()
	for id, session := range sessions {
		if len(session.Calls) != 1 || !session.Revoked() {
			t.Errorf("%s: %d calls, revoked %v", id, len(session.Calls), session.Revoked())
		}
	}
	if len(sessions) != events {
		t.Errorf("%d sessions, want %d", len(sessions), events)
	}
}

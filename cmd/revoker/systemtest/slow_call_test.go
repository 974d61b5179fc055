package systemtest

import (
	"testing"
	"time"

	"revoker/internal/testsite"
)

// Calls of 9 s, with the default ack wait of 10 s and two workers that share the backlog: each is made once.
func TestASlowCallIsMadeByOneWorkerOnce(t *testing.T) {
	t.Parallel()
	const events = 100
	s := testsite.New(t, testsite.Simulator{Latency: 9 * time.Second})
	s.StartNATS()
	for range 2 {
		s.StartWorker("REVOKER_REQUEST_TIMEOUT=30s", "REVOKER_CONCURRENCY=32")
	}
	s.Publish(0, events)
	s.WaitDone()
	sessions := s.Sessions()
	for id, session := range sessions {
		if len(session.Calls) != 1 || !session.Revoked() {
			t.Errorf("%s: %d calls, revoked %v", id, len(session.Calls), session.Revoked())
		}
	}
	if len(sessions) != events {
		t.Errorf("%d sessions, want %d", len(sessions), events)
	}
}

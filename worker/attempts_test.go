package worker

import (
	"testing"
	"time"

	"revoker/events"
)

func TestNextAttemptsAreKnownUntilTheEventIsSettled(t *testing.T) {
	t.Parallel()
	var n NextAttempts
	const id = events.SessionID("s")
	n.Observe(Settlement{Sequence: 7, Session: id, Outcome: Retry, Delay: time.Hour, Deliveries: 2, Status: 500, ResultCode: "A1"})
	n.Observe(Settlement{Sequence: 7, Session: id, Outcome: Deferred, Delay: time.Hour, Deliveries: 3})
	got := n.Of(7, id.Mask())
	if got == nil || got.Attempts != 3 || got.Status != 500 || got.ResultCode != "A1" || time.Until(got.Due) < 59*time.Minute {
		t.Errorf("%+v", got)
	}
	if n.Of(7, "another") != nil || n.Of(8, id.Mask()) != nil {
		t.Error("another event is known")
	}
	n.Observe(Settlement{Sequence: 7, Session: id, Outcome: Revoked, Deliveries: 4})
	if got := n.Of(7, id.Mask()); got != nil {
		t.Errorf("after the settlement: %+v", got)
	}
	for i := range uint64(maxNextAttempts + 10) {
		n.Observe(Settlement{Sequence: i, Session: id, Outcome: Retry, Delay: time.Hour, Deliveries: 1})
	}
	if len(n.events) != maxNextAttempts || n.Of(maxNextAttempts+9, id.Mask()) == nil {
		t.Errorf("%d are kept", len(n.events))
	}
}

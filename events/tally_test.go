package events_test

import (
	"testing"

	"revoker/events"
)

// A count goes on from the last one when letters came and none went, so that watching a drain does not slow it.
func TestLettersThatCameAreAddedToTheCount(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	const most, more = 10_000, 5
	for i := range most {
		if i%1000 == 0 {
			<-h.js.PublishAsyncComplete() // it does not take them all at once
		}
		if _, err := h.js.PublishAsync(h.cfg.DeadLetterSubject, []byte(`{"sessionId":"x"}`)); err != nil {
			t.Fatal(err)
		}
	}
	<-h.js.PublishAsyncComplete()
	reader := events.NewStatusReader(h.conn, h.cfg)
	counted := func() events.DeadLetterCount {
		status, err := reader.Read(deadline(t))
		if err != nil || status.DeadLetters == nil {
			t.Fatalf("%+v, %v", status, err)
		}
		return *status.DeadLetters
	}
	if c := counted(); c.Counted != most || c.Total != most || c.FirstSequence != 1 || c.LastSequence != most {
		t.Errorf("%+v", c)
	}
	for range more {
		h.bury(t, map[string][]string{"Revoker-Reason": {events.ReasonInvalidEvent}}, "x")
	}
	if c := counted(); c.Counted != most+more || c.Reasons[events.ReasonInvalidEvent] != more || c.LastSequence != most+more {
		t.Errorf("after %d more: %+v", more, c)
	}
	letter, err := store.Get(deadline(t), most+1)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(deadline(t), letter); err != nil {
		t.Fatal(err)
	}
	if c := counted(); c.Reasons[events.ReasonInvalidEvent] != more-1 || c.Total != most+more-1 {
		t.Errorf("after one went: %+v", c)
	}
}

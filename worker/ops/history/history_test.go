package history

import (
	"testing"
	"time"

	"revoker/config"
	"revoker/events/peer"
	"revoker/worker"
)

// newTestHistory is one whose clock a test sets, in seconds. It begins with a step, 20 seconds into a minute.
func newTestHistory() (h *History, set func(second int64)) {
	h = New(config.Default().Objective, 64)
	now := time.Unix(1_700_000_000, 0)
	h.now = func() time.Time { return now }
	return h, func(second int64) { now = time.Unix(1_700_000_000+second, 0) }
}

// stepsOf are those of the last 15 minutes.
func stepsOf(h *History) []peer.Step { return h.Last(Seconds).Steps }

// distributionOf is what a reader makes of a histogram.
func distributionOf(h peer.Histogram) *Distribution {
	var d Distribution
	d.Add(h)
	return &d
}

func TestHistoryCountsByStep(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory()
	for range 98 {
		h.Observe(worker.Settlement{Outcome: worker.Revoked, Took: 10 * time.Millisecond})
	}
	at(4)
	h.Observe(worker.Settlement{Outcome: worker.Retry, Took: time.Second})
	h.Observe(worker.Settlement{Outcome: worker.CallerError, Took: time.Second})
	h.Observe(worker.Settlement{Outcome: worker.Invalid})
	h.Observe(worker.Settlement{Outcome: worker.Deferred}) // handed back without a call
	if n := len(stepsOf(h)); n != 0 {
		t.Errorf("%d steps are over, want none yet", n)
	}
	at(5)
	h.Observe(worker.Settlement{Outcome: worker.Revoked, Took: 20 * time.Millisecond})
	at(12)
	list := stepsOf(h)
	if len(list) != 2 {
		t.Fatalf("%d steps, want 2", len(list))
	}
	first, second := list[0], list[1]
	if first.Time != 1_700_000_000 || first.Revoked != 98 || first.Calls != 100 || first.Busy != 2.98 ||
		len(first.Failed) != 3 || first.Failed["no answer"] != 1 || first.Failed["CALLER_ERROR"] != 1 || first.Failed["INVALID_EVENT"] != 1 {
		t.Errorf("the first step: %+v", first)
	}
	took := distributionOf(first.Took)
	if took.Count() != 100 || !near(took.Quantile(0.5), 0.01) || !near(took.Quantile(0.99), 1) {
		t.Errorf("the calls took %v", first.Took)
	}
	if second.Revoked != 1 || second.Failed != nil || distributionOf(second.Took).Count() != 1 {
		t.Errorf("the second step: %+v", second)
	}
	if last := h.Last(7).Steps; len(last) != 1 || last[0].Time != second.Time {
		t.Errorf("of the last 7 seconds: %+v", last)
	}
	if last := h.Last(6).Steps; len(last) != 0 {
		t.Errorf("of the last 6 seconds: %+v", last)
	}
}

func TestHistoryKeepsFifteenMinutes(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory()
	for second := range int64(2 * Seconds) {
		at(second)
		h.Observe(worker.Settlement{Outcome: worker.Revoked, Took: time.Millisecond})
	}
	at(2 * Seconds)
	if n := len(stepsOf(h)); n != keptSteps {
		t.Errorf("%d steps are kept, want %d", n, keptSteps)
	}
	at(10 * Seconds) // a long silence
	list := stepsOf(h)
	if len(list) != keptSteps {
		t.Errorf("%d steps after a silence, want %d", len(list), keptSteps)
	}
	for _, s := range list {
		if s.Revoked != 0 {
			t.Fatalf("%+v after a silence", s)
		}
	}
}

// A worker that runs for a minute tells a minute.
func TestHistoryBeginsWithTheWorker(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory()
	h.Sample(Gauges{})
	at(60)
	if n := len(stepsOf(h)); n != 60/peer.StepSeconds {
		t.Errorf("%d steps", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	h := New(config.Default().Objective, 64)
	s := worker.Settlement{Outcome: worker.Revoked, Session: "SECRET-session", Took: 10 * time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		h.Observe(s)
	}
}

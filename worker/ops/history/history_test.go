package history

import (
	"math"
	"testing"
	"time"

	"revoker/config"
	"revoker/worker"
)

// newTestHistory is one whose clock a test sets, in seconds.
func newTestHistory() (h *History, set func(second int64)) {
	h = New(config.Default().Objective, 64)
	now := time.Unix(1_700_000_000, 0)
	h.now = func() time.Time { return now }
	return h, func(second int64) { now = time.Unix(1_700_000_000+second, 0) }
}

func TestHistoryCountsBySecond(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory()
	for range 3 {
		h.Observe(worker.Settlement{Outcome: worker.Revoked, Took: 10 * time.Millisecond})
	}
	h.Observe(worker.Settlement{Outcome: worker.Retry, Took: time.Second})
	h.Observe(worker.Settlement{Outcome: worker.CallerError, Took: 10 * time.Millisecond})
	h.Observe(worker.Settlement{Outcome: worker.Invalid})
	h.Observe(worker.Settlement{Outcome: worker.Deferred}) // handed back without a call
	if n := len(h.Since(0)); n != 0 {
		t.Errorf("%d seconds are over, want none yet", n)
	}
	at(3)
	h.Observe(worker.Settlement{Outcome: worker.Revoked, Took: 20 * time.Millisecond})
	at(4)
	list := h.Since(0)
	if len(list) != 4 {
		t.Fatalf("%d seconds, want 4", len(list))
	}
	first := list[0]
	if first.Revoked != 3 || first.Retried != 1 || first.DeadLetters != 2 || first.Time != 1_700_000_000 {
		t.Errorf("the first second: %+v", first)
	}
	if math.Abs(*first.P50-10) > 1 || math.Abs(*first.P99-1000) > 100 {
		t.Errorf("p50 %v ms, p99 %v ms; want 10 and 1000 to within a tenth", *first.P50, *first.P99)
	}
	if list[1].P50 != nil || list[1].Revoked != 0 || list[3].Revoked != 1 {
		t.Errorf("the other seconds: %+v", list[1:])
	}
	if again := h.Since(list[3].Time); len(again) != 0 {
		t.Errorf("%d seconds after the last", len(again))
	}
}

func TestHistoryKeepsFifteenMinutes(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory()
	for second := range int64(2 * historySeconds) {
		at(second)
		h.Observe(worker.Settlement{Outcome: worker.Revoked, Took: time.Millisecond})
	}
	at(2 * historySeconds)
	if n := len(h.Since(0)); n != historySeconds {
		t.Errorf("%d seconds are kept, want %d", n, historySeconds)
	}
	at(10 * historySeconds) // a long silence
	for _, s := range h.Since(0) {
		if s.Revoked != 0 {
			t.Fatalf("%+v after a silence", s)
		}
	}
	if n := len(h.Recent(0)); n != recentSettled {
		t.Errorf("%d settlements are kept, want %d", n, recentSettled)
	}
}

func TestRecentIsNewestFirst(t *testing.T) {
	t.Parallel()
	h, _ := newTestHistory()
	for range 3 {
		h.Observe(worker.Settlement{Outcome: worker.Revoked, Session: "abc"})
	}
	list := h.Recent(1)
	if len(list) != 2 || list[0].Number != 3 || list[0].Session != "abc" || list[1].Number != 2 {
		t.Errorf("%+v", list)
	}
}

func TestBucketsAreCloseTogether(t *testing.T) {
	t.Parallel()
	for d := 10 * time.Microsecond; d < 7*24*time.Hour; d = d * 101 / 100 {
		want := float64(d.Nanoseconds()) / 1e6
		if got := middleOf(bucketOf(d)); d > time.Millisecond && math.Abs(got-want) > want/50 || math.Abs(got-want) > want/10 {
			t.Fatalf("%s is in the bucket around %v ms", d, got)
		}
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

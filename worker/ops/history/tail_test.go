package history

import (
	"testing"

	"revoker/worker"
)

func TestRecentIsNewestFirst(t *testing.T) {
	t.Parallel()
	h, _ := newTestHistory()
	for range 3 {
		h.Observe(worker.Settlement{Outcome: worker.Revoked, Session: "abc"})
	}
	list := h.Recent(1, "")
	if len(list) != 2 || list[0].Number != 3 || list[0].Session != "abc" || list[1].Number != 2 {
		t.Errorf("%+v", list)
	}
}

// A dead letter among thousands of revocations can be followed.
func TestTheTailKeepsEachKind(t *testing.T) {
	t.Parallel()
	h, _ := newTestHistory()
	for _, outcome := range []worker.Outcome{worker.CallerError, worker.Invalid, worker.RetriesExhausted, worker.Misconfigured, worker.Retry, worker.Deferred} {
		h.Observe(worker.Settlement{Outcome: outcome})
	}
	for range 1000 {
		h.Observe(worker.Settlement{Outcome: worker.Revoked})
	}
	h.Observe(worker.Settlement{Outcome: worker.Retry})
	for kind, want := range map[Kind][]int{DeadLetter: {3, 2, 1}, Misconfigured: {4}, Retried: {1006, 5}} {
		list := h.Recent(0, kind)
		if len(list) != len(want) {
			t.Fatalf("%s: %+v", kind, list)
		}
		for i, s := range list {
			if s.Number != want[i] {
				t.Errorf("%s: number %d, want %d", kind, s.Number, want[i])
			}
		}
	}
	if list := h.Recent(5, Retried); len(list) != 1 {
		t.Errorf("after the fifth: %+v", list)
	}
	all := h.Recent(0, "")
	if len(all) != recentSettled || all[0].Outcome != worker.Retry || all[1].Number != 1005 || len(h.Recent(0, Revoked)) != recentSettled {
		t.Errorf("all: %d, %+v", len(all), all[:2])
	}
}

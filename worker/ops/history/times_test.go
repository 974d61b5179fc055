package history

import (
	"math"
	"testing"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/worker"
)

func revoked(lane config.Lane, after time.Duration) worker.Settlement {
	return worker.Settlement{Lane: lane, Outcome: worker.Revoked, ToRevoked: after, Took: time.Millisecond}
}

// near reports whether a quantile is right to within 2%.
func near(got *float64, want float64) bool { return got != nil && math.Abs(*got-want) <= want/50 }

// A second shows each lane's time to revoked, and what limited the calls at its end.
func TestASecondShowsItsLanes(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory()
	limit := 16
	h.Sample(Gauges{Limit: &limit, Rate: 985.04, Backlog: map[config.Lane]int{config.Bulk: 7}})
	for range 98 {
		h.Observe(revoked(config.Live, 20*time.Millisecond))
	}
	h.Observe(revoked(config.Live, 3*time.Second))
	h.Observe(revoked(config.Live, 3*time.Second))
	h.Observe(revoked(config.Bulk, 30*time.Hour))
	h.Observe(worker.Settlement{Lane: config.Live, Outcome: worker.Retry, Took: time.Second}) // not revoked
	at(2)
	list := h.Since(0)
	if len(list) != 2 {
		t.Fatalf("%d seconds", len(list))
	}
	first, second := list[0], list[1]
	if !near(first.Live.P50, 0.02) || !near(first.Live.P99, 3) || !near(first.Bulk.P50, 30*3600) || !near(first.Bulk.P99, 30*3600) {
		t.Errorf("times to revoked: %+v, %+v", first.Live, first.Bulk)
	}
	if *first.Limit != 16 || first.Rate != 985 || first.Calls != 102 || first.InFlight != 1.1 || first.Live.Backlog != nil || *first.Bulk.Backlog != 7 {
		t.Errorf("the first second: %+v", first)
	}
	if second.Live.P50 != nil || second.Bulk.P99 != nil || *second.Limit != 16 || *second.Bulk.Backlog != 7 {
		t.Errorf("the second without a call: %+v", second)
	}
}

// The long figures are those of the last 15 minutes, and only the live lane is held against the objective.
func TestTheLongFiguresAreOfFifteenMinutes(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory() // 20 seconds into a minute
	h.Observe(revoked(config.Live, time.Hour))
	h.Observe(worker.Settlement{Lane: config.Live, Outcome: worker.CallerError})
	at(14 * 60)
	for range 97 {
		h.Observe(revoked(config.Live, 10*time.Millisecond))
	}
	for range 3 {
		h.Observe(revoked(config.Bulk, time.Hour))
	}
	h.Observe(worker.Settlement{Lane: config.Bulk, Outcome: worker.CallerError})
	h.Observe(worker.Settlement{Lane: config.Live, Outcome: worker.Retry})
	at(14*60 + 39)
	delays, kept := h.lately()
	if kept != (events.Kept{Target: "99% within 5s", Ratio: 0.99, Met: 97, Missed: 2}) {
		t.Errorf("the objective: %+v", kept)
	}
	if got := kept.Budget(); math.Abs(got-0.99) > 1e-9 {
		t.Errorf("the budget is %v", got)
	}
	live, bulk := delays[config.Live], delays[config.Bulk]
	if live.Revoked != 98 || !near(&live.P50, 0.01) || !near(&live.P99, 3600) || bulk.Revoked != 3 || !near(&bulk.P50, 3600) {
		t.Errorf("%+v", delays)
	}
	at(14*60 + 40) // the first minute is over by 15
	delays, kept = h.lately()
	if live = delays[config.Live]; kept.Met != 97 || kept.Missed != 0 || live.Revoked != 97 || !near(&live.P99, 0.01) {
		t.Errorf("later: %+v, %+v", kept, delays)
	}
	at(24 * 3600)
	if delays, kept = h.lately(); len(delays) != 0 || kept.Met+kept.Missed != 0 {
		t.Errorf("after a silence: %+v, %+v", kept, delays)
	}
}

func TestObservingForThePageAllocatesNothing(t *testing.T) {
	h := New(config.Default().Objective, 64)
	s := revoked(config.Live, 20*time.Millisecond)
	if n := testing.AllocsPerRun(1000, func() { h.Observe(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a worker answers over NATS, and the page shows, has the long figures.
func TestAWorkersStateHasTheLongFigures(t *testing.T) {
	t.Parallel()
	h := New(config.Default().Objective, 64)
	h.Observe(revoked(config.Live, 20*time.Millisecond))
	h.Observe(revoked(config.Live, time.Minute))
	state := h.Complete(events.WorkerState{})
	if o := state.Objective; o == nil || o.Met != 1 || o.Missed != 1 || o.Target != "99% within 5s" || state.LongDelays[config.Live].Revoked != 2 {
		t.Errorf("%+v, %+v", state.Objective, state.LongDelays)
	}
}

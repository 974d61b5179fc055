package history

import (
	"math"
	"testing"
	"time"

	"revoker/config"
	"revoker/events/peer"
	"revoker/worker"
)

func revoked(lane config.Lane, after time.Duration) worker.Settlement {
	return worker.Settlement{Lane: lane, Outcome: worker.Revoked, ToRevoked: after, Took: time.Millisecond}
}

// near reports whether a quantile is right to within 2%.
func near(got *float64, want float64) bool { return got != nil && math.Abs(*got-want) <= want/50 }

// A step shows each lane's time to revoked, and what limited the calls at its end.
func TestAStepShowsItsLanes(t *testing.T) {
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
	at(2 * peer.StepSeconds)
	list := stepsOf(h)
	if len(list) != 2 {
		t.Fatalf("%d steps", len(list))
	}
	first, second := list[0], list[1]
	live, bulk := distributionOf(first.Live), distributionOf(first.Bulk)
	if live.Count() != 100 || !nearly(live.Quantile(0.5), 0.02) || !nearly(live.Quantile(0.99), 3) || bulk.Count() != 1 || !nearly(bulk.Quantile(0.5), 30*3600) {
		t.Errorf("times to revoked: %v, %v", first.Live, first.Bulk)
	}
	if *first.Limit != 16 || first.Rate != 985 || first.Calls != 102 || first.Busy != 1.101 || first.LiveBacklog != nil || *first.BulkBacklog != 7 {
		t.Errorf("the first step: %+v", first)
	}
	if second.Live != nil || second.Bulk != nil || *second.Limit != 16 || *second.BulkBacklog != 7 {
		t.Errorf("the step without a call: %+v", second)
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
	delays, kept := lately(h)
	if kept != (peer.Kept{Target: "99% within 5s", Ratio: 0.99, Met: 97, Missed: 2}) {
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
	delays, kept = lately(h)
	if live = delays[config.Live]; kept.Met != 97 || kept.Missed != 0 || live.Revoked != 97 || !near(&live.P99, 0.01) {
		t.Errorf("later: %+v, %+v", kept, delays)
	}
	at(24 * 3600)
	if delays, kept = lately(h); len(delays) != 0 || kept.Met+kept.Missed != 0 {
		t.Errorf("after a silence: %+v, %+v", kept, delays)
	}
}

func lately(h *History) (map[config.Lane]peer.LaneDelay, peer.Kept) {
	state := h.Complete(peer.State{})
	return state.LongDelays, *state.Objective
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
	state := h.Complete(peer.State{})
	if o := state.Objective; o == nil || o.Met != 1 || o.Missed != 1 || o.Target != "99% within 5s" || state.LongDelays[config.Live].Revoked != 2 {
		t.Errorf("%+v, %+v", state.Objective, state.LongDelays)
	}
}

// The short figures are of all revocations of the last minute, however many they are.
func TestTheShortFiguresAreOfAWholeMinute(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory()
	for range 3000 {
		h.Observe(revoked(config.Live, 10*time.Second))
	}
	at(50)
	for range 2000 {
		h.Observe(revoked(config.Live, 10*time.Millisecond))
	}
	h.Observe(revoked(config.Bulk, time.Hour))
	delays := h.Complete(peer.State{}).Delays
	live, bulk := delays[config.Live], delays[config.Bulk]
	if live.Revoked != 5000 || !nearly(&live.P50, 10) || !nearly(&live.P99, 10) || bulk.Revoked != 1 || !nearly(&bulk.P50, 3600) {
		t.Errorf("%+v", delays)
	}
	at(65)
	if live = h.Complete(peer.State{}).Delays[config.Live]; live.Revoked != 2000 || !nearly(&live.P99, 0.01) {
		t.Errorf("a minute after the slow ones: %+v", live)
	}
	at(120)
	if delays = h.Complete(peer.State{}).Delays; len(delays) != 0 {
		t.Errorf("after a silence: %+v", delays)
	}
}

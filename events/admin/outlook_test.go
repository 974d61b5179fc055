package admin

import (
	"testing"
	"time"

	"revoker/events/peer"
)

func TestHistoryForgetsWhatIsOldAndWhatIsAnotherStreams(t *testing.T) {
	t.Parallel()
	after := func(second, left int, sequence uint64) Status {
		return Status{Time: time.Unix(1_700_000_000+int64(second), 0), Backlog: left, LastSequence: sequence, Alone: true}
	}
	var h History
	for second := range 1000 {
		h.Add(after(second, 1000-second, 5000))
	}
	if n := len(h.Statuses); n != 301 || h.Span() != 5*time.Minute {
		t.Errorf("%d statuses over %s", n, h.Span())
	}
	if r := h.Rates(); *r.Shrinking != 1 {
		t.Errorf("%+v", r)
	}
	if left, settled := h.Series(); len(left) != 301 || len(settled) != 300 || settled[0] != 1 {
		t.Errorf("%d and %d points", len(left), len(settled))
	}
	h.Add(after(1000, 3, 3)) // the stream was made anew
	if len(h.Statuses) != 1 {
		t.Errorf("%d statuses", len(h.Statuses))
	}
}

// What is in work and what waits for its retry, by what JetStream and the workers say.
func TestInFlightAndWaiting(t *testing.T) {
	t.Parallel()
	worker := func(inHand, waiting int, settled float64) peer.State {
		return peer.State{Breaker: "closed", InHand: inHand, Waiting: &waiting, SettledPerSecond: settled}
	}
	old := peer.State{Breaker: "closed", InHand: 10}
	for name, c := range map[string]struct {
		unsettled, pulls   int
		workers            []peer.State
		inFlight, retrying int // -1 for not known
	}{
		"nothing at all":                    {0, 0, nil, 0, 0},
		"no worker answered":                {5, 0, nil, -1, -1},
		"one worker did not answer":         {5, 2, []peer.State{worker(5, 0, 0)}, -1, -1},
		"full load without a failure":       {201, 1, []peer.State{worker(64, 0, 5000)}, 64, 0},
		"full load, two workers":            {400, 2, []peer.State{worker(64, 0, 2500), worker(64, 0, 2500)}, 128, 0},
		"full load and few retries":         {211, 1, []peer.State{worker(64, 10, 5000)}, 64, 10},
		"full load and many retries":        {5264, 1, []peer.State{worker(64, 5000, 400)}, 64, 5100},
		"an outage: all are due":            {84, 0, []peer.State{worker(0, 0, 0)}, 0, 84},
		"waiting for an hour":               {10, 1, []peer.State{worker(0, 10, 0)}, 0, 10},
		"after a restart of the worker":     {5000, 1, []peer.State{worker(0, 0, 0)}, 0, 5000},
		"it was asked too soon":             {3, 1, []peer.State{worker(64, 7, 100)}, 0, 3},
		"a worker of an earlier version":    {50, 1, []peer.State{old}, 10, 40},
		"one of two of an earlier version":  {50, 1, []peer.State{worker(10, 0, 5000), old}, 20, 30},
		"a worker that tells nonsense":      {50, 1, []peer.State{worker(-10, -10, -1e300), worker(0, 1<<60, 1e300)}, 0, 50},
		"a worker that settles without end": {50, 1, []peer.State{worker(0, 0, 1e300)}, 0, 0},
	} {
		s := Status{Unsettled: c.unsettled, OpenPulls: c.pulls, Workers: c.workers}
		s.split()
		got := [2]int{-1, -1}
		if s.InFlight != nil && s.Retrying != nil {
			got = [2]int{*s.InFlight, *s.Retrying}
		}
		if got != [2]int{c.inFlight, c.retrying} {
			t.Errorf("%s: %d in flight and %d waiting, want %d and %d", name, got[0], got[1], c.inFlight, c.retrying)
		}
	}
}

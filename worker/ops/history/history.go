// Package history keeps the last 15 minutes of a worker's settlements, for its console page and its state.
package history

import (
	"math"
	"sync"
	"time"

	"revoker/config"
	"revoker/events/peer"
	"revoker/worker"
)

// History holds what the worker settled in the last 15 minutes, step by step, and the events that wait for their retry. It is safe
// for concurrent use.
type History struct {
	concurrency int
	waits       *waits

	mu      sync.Mutex
	now     func() time.Time
	seconds seconds
	steps   steps
	times   times
	tail    tail
}

// New returns an empty History of a worker that makes concurrency calls at a time. Time to revoked is held against the objective.
func New(objective config.Objective, concurrency int) *History {
	return &History{concurrency: concurrency, waits: newWaits(), now: time.Now, times: times{objective: objective}}
}

// Observe records a settlement. It is called for each one, so it hashes no session, and allocates nothing unless the event waits or
// a step ends.
func (h *History) Observe(s worker.Settlement) {
	h.waits.observe(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	h.times.observe(s, now.Unix())
	if s.Outcome != worker.Revoked && causeOf(s) == none { // handed back without a call
		return
	}
	h.seconds.observe(s, now.Unix())
	h.steps.observe(s, now.Unix())
	h.tail.observe(s, now)
}

// Gauges are what a step shows of the present.
type Gauges struct {
	// Limit is how many calls may be in flight, nil where it is not known. Rate is how many the API was found to allow in a second,
	// 0 while no limit was met.
	Limit *int
	Rate  float64
	// Backlog is how many events were never delivered, by lane. A lane of which it is not known is absent.
	Backlog map[config.Lane]int
}

// Sample takes the present gauges. They count for the present step, and for those that follow, until the next sample.
func (h *History) Sample(g Gauges) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps.advance(h.now().Unix())
	h.steps.gauges = g
}

// Last returns the steps of the last seconds that are over, oldest first.
func (h *History) Last(seconds int) *peer.History {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	h.steps.advance(now.Unix())
	return &peer.History{Now: now, Steps: h.steps.since(now.Unix() - int64(seconds))}
}

// Complete adds to a worker's state what was observed of its settlements. If calls are short, an instant with no event in hand
// comes often even at full load. So the mean number of calls in the last second counts as in hand, if that is more.
func (h *History) Complete(state peer.State) peer.State {
	waiting := h.waits.count()
	h.mu.Lock()
	defer h.mu.Unlock()
	second := h.now().Unix()
	delays, kept := h.times.lately(second)
	state.Waiting, state.SettledPerSecond = &waiting, h.seconds.settledPerSecond(second)
	state.Delays, state.LongDelays, state.Objective = h.steps.lastMinute(second), delays, &kept
	state.InHand = max(state.InHand, min(h.seconds.inFlight(second), h.concurrency))
	return state
}

func milliseconds(d time.Duration) float64 { return math.Round(float64(d.Microseconds())) / 1000 }

// Package history keeps the last 15 minutes of a worker's settlements, for its console page and its state.
package history

import (
	"math"
	"math/bits"
	"sync"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/worker"
)

const (
	historySeconds = 15 * 60
	recentSettled  = 50 // settlements that are kept one by one
)

// History holds what the worker settled in the last 15 minutes, second by second, and the events that wait for their
// retry. It is safe for concurrent use.
type History struct {
	concurrency int
	waits       *waits

	mu      sync.Mutex
	now     func() time.Time
	second  int64 // the current one
	current counts
	past    [historySeconds]Second // by second modulo its length
	times   times
	gauges  Gauges // the newest
	recent  [recentSettled]Settled
	settled int
}

// Second is what was settled within one second.
type Second struct {
	Time        int64 `json:"t"` // Unix seconds
	Revoked     int   `json:"revoked"`
	Retried     int   `json:"retried"`
	DeadLetters int   `json:"dead"`
	// P50 and P99 are quantiles of the call durations in milliseconds, to within 2%. They are null without a call.
	P50 *float64 `json:"p50"`
	P99 *float64 `json:"p99"`
	// InFlight is how many calls were in flight, on average, and Calls how many ended. Limit is how many could be in flight, null
	// where it is not known, and Rate how many the API was found to allow in a second, 0 while no limit was met.
	InFlight float64 `json:"inFlight"`
	Calls    int     `json:"calls"`
	Limit    *int    `json:"limit"`
	Rate     float64 `json:"rate,omitempty"`
	// Live and Bulk are the lanes'. Without a bulk lane Bulk has only nulls.
	Live LaneSecond `json:"live"`
	Bulk LaneSecond `json:"bulk"`
}

// LaneSecond is one lane's part of a second.
type LaneSecond struct {
	// Backlog is how many events were never delivered, as far as it is known.
	Backlog *int `json:"backlog"`
	// P50 and P99 are quantiles of the time to revoked in seconds, to within 2%. They are null without a revocation.
	P50 *float64 `json:"p50"`
	P99 *float64 `json:"p99"`
}

// Gauges are what a second shows of the present.
type Gauges struct {
	// Limit is how many calls may be in flight, nil where it is not known. Rate is how many the API was found to allow in a second,
	// 0 while no limit was met.
	Limit *int
	Rate  float64
	// Backlog is how many events were never delivered, by lane. A lane of which it is not known is absent.
	Backlog map[config.Lane]int
}

// counts are those of the current second.
type counts struct {
	revoked, retried, dead int
	calls                  int
	busy                   time.Duration // of the calls
	took                   [durationBuckets]uint32
}

// Settled is one settlement and when it was observed. Number counts settlements from 1 on.
type Settled struct {
	Number int
	At     time.Time
	worker.Settlement
}

// New returns an empty History of a worker that makes concurrency calls at a time. Time to revoked is held against the objective.
func New(objective config.Objective, concurrency int) *History {
	return &History{concurrency: concurrency, waits: newWaits(), now: time.Now, times: times{objective: objective}}
}

// Observe records a settlement. It is called for each one, so it hashes no session, and allocates nothing unless the event waits.
func (h *History) Observe(s worker.Settlement) {
	h.waits.observe(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	h.advance(now.Unix())
	h.times.observe(s, now.Unix())
	c := &h.current
	switch {
	case s.Outcome == worker.Revoked:
		c.revoked++
	case s.Outcome.Reason() != "":
		c.dead++
	case s.Outcome == worker.Retry || s.Outcome == worker.Misconfigured:
		c.retried++
	default: // handed back without a call
		return
	}
	if s.Took > 0 {
		c.calls++
		c.busy += s.Took
		c.took[bucketOf(s.Took)]++
	}
	h.settled++
	h.recent[h.settled%recentSettled] = Settled{h.settled, now, s}
}

// advance closes the seconds before this one. The caller holds mu.
func (h *History) advance(second int64) {
	if h.second == 0 {
		h.second = second
	}
	for ; h.second < second; h.second++ {
		if second-h.second > historySeconds {
			h.second = second - historySeconds
			h.current, h.times.second = counts{}, [2]quantiles{}
		}
		h.past[h.second%historySeconds] = h.close()
		h.current, h.times.second = counts{}, [2]quantiles{}
	}
}

// close is the second that is over. The caller holds mu.
func (h *History) close() Second {
	c, g := &h.current, h.gauges
	second := Second{
		Time: h.second, Revoked: c.revoked, Retried: c.retried, DeadLetters: c.dead, P50: c.quantile(0.5), P99: c.quantile(0.99),
		InFlight: math.Round(10*c.busy.Seconds()) / 10, Calls: c.calls, Limit: g.Limit, Rate: math.Round(10*g.Rate) / 10,
	}
	for i, lane := range []*LaneSecond{&second.Live, &second.Bulk} {
		if backlog, known := g.Backlog[lanes[i]]; known {
			lane.Backlog = &backlog
		}
		lane.P50, lane.P99 = h.times.second[i].seconds(0.5), h.times.second[i].seconds(0.99)
	}
	return second
}

// Sample takes the present gauges. They count for the present second, and for those that follow, until the next sample.
func (h *History) Sample(g Gauges) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(h.now().Unix())
	h.gauges = g
}

// Complete adds to a worker's state what was observed of its settlements. If calls are short, an instant with no event in hand
// comes often even at full load. So the mean number of calls in the last second counts as in hand, if that is more.
func (h *History) Complete(state events.WorkerState) events.WorkerState {
	waiting := h.waits.count()
	state.Waiting, state.SettledPerSecond = &waiting, h.settledPerSecond()
	delays, kept := h.lately()
	state.LongDelays, state.Objective = delays, &kept
	state.InHand = max(state.InHand, min(h.inFlight(), h.concurrency))
	return state
}

// lately tells the times to revoked of the last 15 minutes by lane, and how well the live lane met the objective.
func (h *History) lately() (map[config.Lane]events.LaneDelay, events.Kept) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.times.lately(h.now().Unix())
}

// Since returns the complete seconds that follow after, oldest first.
func (h *History) Since(after int64) []Second {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(h.now().Unix())
	list := []Second{}
	for second := max(after+1, h.second-historySeconds); second < h.second; second++ {
		if s := h.past[second%historySeconds]; s.Time == second {
			list = append(list, s)
		}
	}
	return list
}

// settledOver is the time over which settledPerSecond takes the mean, in seconds.
const settledOver = 3

// inFlight is how many calls were in flight in the last second that is over, on average.
func (h *History) inFlight() int {
	h.mu.Lock()
	second := h.now().Unix() - 1
	h.mu.Unlock()
	for _, s := range h.Since(second - 1) {
		return int(math.Round(s.InFlight))
	}
	return 0
}

// settledPerSecond is how many events were acknowledged or given up in a second, lately. A retry is neither.
func (h *History) settledPerSecond() float64 {
	h.mu.Lock()
	second := h.now().Unix()
	h.mu.Unlock()
	settled := 0
	for _, s := range h.Since(second - settledOver - 1) {
		settled += s.Revoked + s.DeadLetters
	}
	return float64(settled) / settledOver
}

// Recent returns the settlements that follow number after, newest first. At most the last 50 are kept.
func (h *History) Recent(after int) []Settled {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []Settled{}
	for n := h.settled; n > max(after, h.settled-recentSettled); n-- {
		list = append(list, h.recent[n%recentSettled])
	}
	return list
}

func milliseconds(d time.Duration) float64 { return math.Round(float64(d.Microseconds())) / 1000 }

// Durations are counted in buckets: 32 for each doubling, from one microsecond to twelve days.
const (
	perDoubling     = 1 << doublingBits
	doublingBits    = 5
	durationBuckets = 40 * perDoubling
)

func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 1))
	doubling := bits.Len64(us) - 1
	within := int((us << doublingBits >> doubling) & (perDoubling - 1))
	return min(doubling*perDoubling+within, durationBuckets-1)
}

// middleOf returns the middle of a bucket in milliseconds.
func middleOf(bucket int) float64 {
	low := math.Exp2(float64(bucket/perDoubling)) * (1 + float64(bucket%perDoubling)/perDoubling)
	return low * (1 + 0.5/perDoubling) / 1000
}

func (c *counts) quantile(q float64) *float64 {
	if c.calls == 0 {
		return nil
	}
	value := math.Round(quantileOf(&c.took, c.calls, q)*100) / 100
	return &value
}

// quantileOf returns a quantile of n durations in milliseconds.
func quantileOf(buckets *[durationBuckets]uint32, n int, q float64) float64 {
	left := int(math.Ceil(q * float64(n)))
	for bucket, count := range buckets {
		if left -= int(count); left <= 0 {
			return middleOf(bucket)
		}
	}
	return middleOf(durationBuckets - 1)
}

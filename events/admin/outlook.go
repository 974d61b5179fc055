package admin

import (
	"time"

	"revoker/events/peer"
)

// Outlook says what can be said of the time until no event is left.
type Outlook string

// The outlooks.
const (
	NothingLeft  Outlook = "nothing left"
	Shrinking    Outlook = "shrinking" // the only one with an ETA
	Growing      Outlook = "growing"
	NotShrinking Outlook = "not shrinking"
	Paused       Outlook = "paused"       // no estimate: no worker gets events
	BreakerOpen  Outlook = "breaker open" // no estimate: no worker makes calls
	NotKnown     Outlook = "not known"    // before the second reading
)

const (
	historySpan = 5 * time.Minute
	rateSpan    = 20 * time.Second // rates are means over it
)

// History is the statuses of the last minutes. It is for one goroutine.
type History struct {
	Statuses []Status
}

// Add takes a status in. One of a stream or consumer that was made anew begins the history anew.
func (h *History) Add(s Status) {
	if n := len(h.Statuses); n > 0 && s.LastSequence < h.Statuses[n-1].LastSequence {
		h.Statuses = nil
	}
	h.Statuses = append(h.Statuses, s)
	for s.Time.Sub(h.Statuses[0].Time) > historySpan {
		h.Statuses = h.Statuses[1:]
	}
}

// Last is the last status. There must be one.
func (h *History) Last() Status { return h.Statuses[len(h.Statuses)-1] }

// Span is the time between the first status and the last.
func (h *History) Span() time.Duration { return h.Last().Time.Sub(h.Statuses[0].Time) }

// Rates compares the last status with the one a rateSpan before, or with the first since work was stopped or went on.
func (h *History) Rates() Rates {
	last := h.Last()
	first, stopped := last, last.stopped()
	for i := len(h.Statuses) - 1; i >= 0 && last.Time.Sub(h.Statuses[i].Time) <= rateSpan && h.Statuses[i].stopped() == stopped; i-- {
		first = h.Statuses[i]
	}
	return ratesBetween(first, last)
}

// Series are the events left, and those settled a second (or by how much fewer are left), status by status.
func (h *History) Series() (left, settled []float64) {
	for i, s := range h.Statuses {
		left = append(left, float64(s.Left()))
		if i == 0 {
			continue
		}
		switch r := ratesBetween(h.Statuses[i-1], s); {
		case r.Settled != nil:
			settled = append(settled, *r.Settled)
		case r.Shrinking != nil:
			settled = append(settled, max(*r.Shrinking, 0))
		}
	}
	return left, settled
}

// Rates are what happens in a second, as means over the last rateSpan. Pointers are nil where it is not known.
type Rates struct {
	Published *float64 `json:"publishedPerSecond,omitempty"`
	Settled   *float64 `json:"settledPerSecond,omitempty"`
	// Shrinking is by how much fewer events are left each second; negative where they become more.
	Shrinking *float64 `json:"shrinkingPerSecond,omitempty"`
	Outlook   Outlook  `json:"outlook"`
	// ETA is when no event will be left, at this rate; nil unless Outlook is Shrinking.
	ETA *time.Time `json:"eta,omitempty"`
}

// ratesBetween counts what was published by the stream's sequence, which only counts events if it stores nothing else, and
// what was settled by what is left.
func ratesBetween(first, last Status) Rates {
	elapsed := last.Time.Sub(first.Time).Seconds()
	if elapsed <= 0 {
		return Rates{Outlook: last.outlook(nil)}
	}
	shrinking := float64(first.Left()-last.Left()) / elapsed
	r := Rates{Shrinking: &shrinking, Outlook: last.outlook(&shrinking)}
	if last.Alone {
		published := float64(last.LastSequence-first.LastSequence) / elapsed
		settled := max(published+shrinking, 0)
		r.Published, r.Settled = &published, &settled
	}
	if r.Outlook == Shrinking {
		eta := last.Time.Add(time.Duration(float64(last.Left()) / shrinking * float64(time.Second)))
		r.ETA = &eta
	}
	return r
}

// outlook needs by how much fewer events are left each second; nil if that is not known.
func (s Status) outlook(shrinking *float64) Outlook {
	switch {
	case s.Left() == 0:
		return NothingLeft
	case s.Paused:
		return Paused
	case s.breakerOpen():
		return BreakerOpen
	case shrinking == nil:
		return NotKnown
	case *shrinking > 0:
		return Shrinking
	case *shrinking < 0:
		return Growing
	}
	return NotShrinking
}

// stopped reports whether no worker can do anything. What was settled before says nothing of what will be.
func (s Status) stopped() bool { return s.Paused || s.breakerOpen() }

// breakerOpen reports whether the circuit breaker of every worker that answered is open.
func (s Status) breakerOpen() bool {
	for _, w := range s.Workers {
		if !breakerOpen(w) {
			return false
		}
	}
	return len(s.Workers) > 0
}

// breakerOpen reports whether a worker makes no calls but probes. A half-open breaker that was not open only asks for a second
// opinion, which takes an instant.
func breakerOpen(w peer.State) bool {
	return w.Breaker == "open" || w.Breaker == "half-open" && w.BreakerSince != nil
}

// onTheWay is for how long an acknowledgement may be on its way: its event is not in hand any more, and still counts as unsettled.
const onTheWay = 250 * time.Millisecond

// split tells what workers hold from what waits for its retry, if at least as many workers answered as wait for events.
//
// An event that is not settled and in nobody's hands waits for its retry, or its acknowledgement is on its way. At full load that
// is as much as is settled within onTheWay. Workers know what they handed back themselves, which is the least that waits. A worker
// of an earlier version does not tell. Then all that is in nobody's hands counts as waiting.
func (s *Status) split() {
	if s.Unsettled > 0 && (len(s.Workers) == 0 || len(s.Workers) < s.OpenPulls) {
		return
	}
	held, known, settled, told := 0, 0, 0.0, true
	for _, w := range s.Workers {
		held += w.InHand
		settled += w.SettledPerSecond
		if told = told && w.Waiting != nil; told {
			known += *w.Waiting
		}
	}
	if told {
		held = min(held, s.Unsettled-known)
	}
	held = min(max(held, 0), s.Unsettled) // they were not asked in the same instant
	waiting := s.Unsettled - held
	if told {
		acknowledged := min(max(settled*onTheWay.Seconds(), 0), float64(waiting))
		waiting = max(min(known, waiting), waiting-int(acknowledged))
	}
	s.InFlight, s.Retrying = &held, &waiting
}

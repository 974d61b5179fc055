package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"revoker/cmd/revoker/terminal"
	"revoker/events/admin"
)

const (
	historySpan = 5 * time.Minute
	rateSpan    = 20 * time.Second // rates are means over it
)

// history is the statuses of the last minutes.
type history struct {
	interval time.Duration
	statuses []admin.Status
	failure  error // of the last try to read the status, if it failed
}

// add takes a status in. One of a stream or consumer that was made anew begins the history anew.
func (h *history) add(s admin.Status) {
	if n := len(h.statuses); n > 0 && s.LastSequence < h.statuses[n-1].LastSequence {
		h.statuses = nil
	}
	h.statuses = append(h.statuses, s)
	for s.Time.Sub(h.statuses[0].Time) > historySpan {
		h.statuses = h.statuses[1:]
	}
}

func (h *history) last() admin.Status { return h.statuses[len(h.statuses)-1] }

func (h *history) span() string {
	return h.last().Time.Sub(h.statuses[0].Time).Round(time.Second).String()
}

// watchRates is what happens in a second, as means over the last rateSpan. Pointers are nil where it is not known.
type watchRates struct {
	Published *float64 `json:"publishedPerSecond,omitempty"`
	Settled   *float64 `json:"settledPerSecond,omitempty"`
	// Shrinking is by how much fewer events are left each second; negative where they become more.
	Shrinking *float64 `json:"shrinkingPerSecond,omitempty"`
	// ETA is when no event will be left, at this rate.
	ETA *time.Time `json:"eta,omitempty"`
}

// rates compares the last status with the one a rateSpan before.
func (h *history) rates() watchRates {
	last := h.last()
	first := last
	for i := len(h.statuses) - 1; i >= 0 && last.Time.Sub(h.statuses[i].Time) <= rateSpan; i-- {
		first = h.statuses[i]
	}
	return ratesBetween(first, last)
}

// ratesBetween counts what was published by the stream's sequence, which only counts events if it stores nothing else, and
// what was settled by what is left.
func ratesBetween(first, last admin.Status) watchRates {
	elapsed := last.Time.Sub(first.Time).Seconds()
	if elapsed <= 0 {
		return watchRates{}
	}
	shrinking := float64(first.Left()-last.Left()) / elapsed
	r := watchRates{Shrinking: &shrinking}
	if last.Alone {
		published := float64(last.LastSequence-first.LastSequence) / elapsed
		settled := max(published+shrinking, 0)
		r.Published, r.Settled = &published, &settled
	}
	if shrinking > 0 && last.Left() > 0 && !last.Paused {
		eta := last.Time.Add(time.Duration(float64(last.Left()) / shrinking * float64(time.Second)))
		r.ETA = &eta
	}
	return r
}

// text says it in one line.
func (r watchRates) text(s admin.Status) string {
	if r.Shrinking == nil {
		return "rates are known after the next refresh"
	}
	text := ""
	if r.Published != nil {
		text = fmt.Sprintf("published %s, settled %s, ", perSecond(*r.Published), perSecond(*r.Settled))
	}
	switch {
	case s.Left() == 0:
		return text + "nothing left"
	case s.Paused:
		return text + "paused"
	case r.ETA != nil:
		return text + "nothing left in " + terminal.Seconds(int(r.ETA.Sub(s.Time).Seconds()+0.5))
	case *r.Shrinking < 0:
		return text + "growing by " + perSecond(-*r.Shrinking)
	}
	return text + "not shrinking"
}

// perSecond is a rate for people. A low one has a decimal: one event in three seconds is not none.
func perSecond(rate float64) string {
	if rate < 10 {
		return strconv.FormatFloat(math.Round(rate*10)/10, 'f', -1, 64) + "/s"
	}
	return fmt.Sprintf("%.0f/s", rate)
}

// series is what is plotted: the events left, and those settled a second (or by how much fewer are left).
func (h *history) series() (left, settled []float64) {
	for i, s := range h.statuses {
		left = append(left, float64(s.Left()))
		if i == 0 {
			continue
		}
		switch r := ratesBetween(h.statuses[i-1], s); {
		case r.Settled != nil:
			settled = append(settled, *r.Settled)
		case r.Shrinking != nil:
			settled = append(settled, max(*r.Shrinking, 0))
		}
	}
	return left, settled
}

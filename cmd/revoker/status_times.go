package main

import (
	"fmt"
	"time"

	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
)

// delayText is the longest p50 and p99 that a worker tells of a lane. Older workers don't know those of 15 minutes.
func delayText(workers []events.WorkerState, lane config.Lane) string {
	var minute, quarter events.LaneDelay
	for _, w := range workers {
		minute, quarter = longest(minute, w.Delays[lane]), longest(quarter, w.LongDelays[lane])
	}
	text := "none in the last minute"
	if minute.Revoked > 0 {
		text = quantileText(minute) + " in the last minute"
	}
	if quarter.Revoked > 0 {
		text += "; " + quantileText(quarter) + " in 15 minutes"
	}
	return text
}

func longest(a, b events.LaneDelay) events.LaneDelay {
	return events.LaneDelay{Revoked: a.Revoked + b.Revoked, P50: max(a.P50, b.P50), P99: max(a.P99, b.P99)}
}

func quantileText(d events.LaneDelay) string {
	round := func(seconds float64) time.Duration {
		return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	}
	return fmt.Sprintf("p50 %s, p99 %s", round(d.P50), round(d.P99))
}

// objectiveText says how well all workers together met their objective, and what they spent of its budget.
func objectiveText(workers []events.WorkerState) string {
	target, events, missed, budget := "", 0, 0, 0.0
	for _, w := range workers {
		if k := w.Objective; k != nil {
			target = k.Target
			events, missed, budget = events+k.Met+k.Missed, missed+k.Missed, budget+k.Budget()
		}
	}
	switch {
	case target == "":
		return "not known"
	case events == 0:
		return terminal.Printable(target, "") + ": no event of the live lane was settled in 15 minutes"
	}
	return fmt.Sprintf("%s: %d of %s of the live lane missed it in 15 minutes; %s of the budget spent", terminal.Printable(target, ""),
		missed, terminal.Counted(events, "event"), percent(float64(missed)/budget))
}

func percent(share float64) string {
	if share >= 0.1 {
		return fmt.Sprintf("%.0f%%", 100*share)
	}
	return fmt.Sprintf("%.2g%%", 100*share)
}

package main

import (
	"fmt"

	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events/peer"
)

// objectiveText says how well all workers together met their objective in the last 15 minutes, and what they spent of its budget.
// The quantiles are the longest that a worker tells.
func objectiveText(workers []peer.State) string {
	target, settled, missed, telling, budget := "", 0, 0, 0, 0.0
	var worst peer.LaneDelay
	for _, w := range workers {
		if k := w.Objective; k != nil {
			target, settled, missed, budget = k.Target, settled+k.Met+k.Missed, missed+k.Missed, budget+k.Budget()
		}
		if d := w.LongDelays[config.Live]; d.Revoked > 0 {
			worst.P50, worst.P99, telling = max(worst.P50, d.P50), max(worst.P99, d.P99), telling+1
		}
	}
	switch {
	case target == "":
		return "not known"
	case settled == 0:
		return terminal.Printable(target, "") + ": no live event was settled in 15 minutes"
	}
	text := fmt.Sprintf("%s: %d of %s missed it in 15 minutes, %s of the budget spent", terminal.Printable(target, ""),
		missed, terminal.Counted(settled, "live event"), percent(float64(missed)/budget))
	if telling == 0 { // only dead letters
		return text
	}
	return text + fmt.Sprintf("; p50 %s, p99 %s", milliseconds(worst.P50), milliseconds(worst.P99)) + longestOf(telling)
}

func percent(share float64) string {
	if share >= 0.1 {
		return fmt.Sprintf("%.0f%%", 100*share)
	}
	return fmt.Sprintf("%.2g%%", 100*share)
}

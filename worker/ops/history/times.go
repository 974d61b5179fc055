package history

import (
	"revoker/config"
	"revoker/events/peer"
	"revoker/worker"
)

// timesMinutes is how many minutes the long figures go back: 14 whole ones, and the present one.
const timesMinutes = Seconds / 60

// times count how long revocations took, in the last 15 minutes. The owner of a History guards them.
type times struct {
	objective config.Objective
	minutes   [timesMinutes]minute // by minute modulo its length
}

// minute is what was settled within one minute.
type minute struct {
	number      int64 // since 1970
	lanes       [2]quantiles
	met, missed int
}

func (t *times) observe(s worker.Settlement, second int64) {
	counts, met := s.Against(t.objective)
	if !counts && s.Outcome != worker.Revoked {
		return
	}
	m := t.at(second / 60)
	switch {
	case counts && met:
		m.met++
	case counts:
		m.missed++
	}
	if s.Outcome == worker.Revoked {
		m.lanes[laneIndex(s.Lane)].add(s.ToRevoked)
	}
}

// lanes names the places of what is kept by lane.
var lanes = [2]config.Lane{config.Live, config.Bulk}

func laneIndex(lane config.Lane) int {
	if lane == config.Bulk {
		return 1
	}
	return 0
}

// at is a minute's place. A minute that is over by the length of all gives way.
func (t *times) at(number int64) *minute {
	m := &t.minutes[number%timesMinutes]
	if m.number != number {
		*m = minute{number: number}
	}
	return m
}

// lately sums up the last 15 minutes.
func (t *times) lately(second int64) (delays map[config.Lane]peer.LaneDelay, kept peer.Kept) {
	kept = peer.Kept{Target: t.objective.String(), Ratio: t.objective.Ratio()}
	var sums [2]quantiles
	for i := range t.minutes {
		m := &t.minutes[i]
		if second/60-m.number >= timesMinutes {
			continue
		}
		kept.Met, kept.Missed = kept.Met+m.met, kept.Missed+m.missed
		for lane := range sums {
			sums[lane].addAll(&m.lanes[lane])
		}
	}
	delays = map[config.Lane]peer.LaneDelay{}
	for lane, name := range lanes {
		if sum := &sums[lane]; sum.n > 0 {
			delays[name] = peer.LaneDelay{Revoked: sum.n, P50: sum.seconds(0.5), P99: sum.seconds(0.99)}
		}
	}
	return delays, kept
}

package history

import (
	"math"
	"time"

	"revoker/config"
	"revoker/events/peer"
	"revoker/worker"
)

// Seconds is how far back the history goes.
const Seconds = 15 * 60

const keptSteps = Seconds / peer.StepSeconds

// steps are those of the last 15 minutes, and the present one. The owner of a History guards them.
type steps struct {
	present int64 // number of the present step: its Unix time through its length
	counts  counts
	gauges  Gauges               // the newest
	past    [keptSteps]peer.Step // by number modulo its length
}

// counts are those of the present step.
type counts struct {
	revoked, calls int
	busy           time.Duration // of the calls
	failed         [causes]int
	took           quantiles
	lanes          [2]quantiles // the time to revoked
}

func (s *steps) observe(settlement worker.Settlement, now int64) {
	s.advance(now)
	c := &s.counts
	if settlement.Outcome == worker.Revoked {
		c.revoked++
		c.lanes[laneIndex(settlement.Lane)].add(settlement.ToRevoked)
	} else {
		c.failed[causeOf(settlement)]++
	}
	if settlement.Took > 0 {
		c.calls++
		c.busy += settlement.Took
		c.took.add(settlement.Took)
	}
}

// advance closes the steps before the one of this second.
func (s *steps) advance(second int64) {
	number := second / peer.StepSeconds
	if s.present == 0 {
		s.present = number
	}
	for ; s.present < number; s.present++ {
		if number-s.present > keptSteps {
			s.present = number - keptSteps
			s.counts = counts{}
		}
		s.past[s.present%keptSteps] = s.close()
		s.counts = counts{}
	}
}

// close is the step that is over.
func (s *steps) close() peer.Step {
	c, g := &s.counts, s.gauges
	step := peer.Step{
		Time: s.present * peer.StepSeconds, Revoked: c.revoked, Failed: failures(c.failed), Calls: c.calls, Busy: milliseconds(c.busy) / 1000,
		Took: c.took.histogram(), Live: c.lanes[0].histogram(), Bulk: c.lanes[1].histogram(), Limit: g.Limit, Rate: math.Round(10*g.Rate) / 10,
	}
	if backlog, known := g.Backlog[config.Live]; known {
		step.LiveBacklog = &backlog
	}
	if backlog, known := g.Backlog[config.Bulk]; known {
		step.BulkBacklog = &backlog
	}
	return step
}

// since returns those that begin at or after a time.
func (s *steps) since(second int64) []peer.Step {
	list := []peer.Step{}
	for number := s.present - keptSteps; number < s.present; number++ {
		if step := s.past[number%keptSteps]; step.Time >= second && step.Time == number*peer.StepSeconds {
			list = append(list, step)
		}
	}
	return list
}

// lastMinute tells how long its revocations took, by lane: those of the last twelve steps, and of the present one so far.
func (s *steps) lastMinute(second int64) map[config.Lane]peer.LaneDelay {
	s.advance(second)
	var sums [2]Distribution
	for _, step := range s.since(second - 60) {
		sums[0].Add(step.Live)
		sums[1].Add(step.Bulk)
	}
	delays := map[config.Lane]peer.LaneDelay{}
	for lane, name := range lanes {
		sum := &sums[lane]
		sum.Add(s.counts.lanes[lane].histogram())
		if sum.n > 0 {
			delays[name] = peer.LaneDelay{Revoked: sum.n, P50: sum.seconds(0.5), P99: sum.seconds(0.99)}
		}
	}
	return delays
}

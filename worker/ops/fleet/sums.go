package fleet

import (
	"slices"
	"time"

	"revoker/config"
	"revoker/events/peer"
	"revoker/worker/ops/history"
)

const (
	stepSeconds = peer.StepSeconds
	kept        = history.Seconds / stepSeconds
	// grace is how long a step waits for the workers that tell of it last. Their clocks differ, and they are asked every interval.
	grace = stepSeconds
)

// sums add up what the workers did, step by step. What each of them did is not kept, so the memory does not grow with the fleet: it
// is 1 MB at most. The owner of a Fleet guards them.
type sums struct {
	version int        // grows with each change
	steps   [kept]*sum // by time through stepSeconds, modulo its length
}

type sum struct {
	time    int64
	changed int // the version at the last change
	shown   bool

	workers, revoked, calls int
	busy                    float64
	failed                  [len(history.Causes)]int
	took, live, bulk        history.Distribution
	limit, limits           int // of so many workers
	rate                    float64
	rates                   int
	backlogs                [2]mean // live and bulk
}

// mean is of what all workers read of the same thing.
type mean struct{ sum, n int }

func (m *mean) add(value *int) {
	if value != nil && *value >= 0 {
		m.sum, m.n = m.sum+*value, m.n+1
	}
}

func (m mean) value() *int {
	if m.n == 0 {
		return nil
	}
	value := (m.sum + m.n/2) / m.n
	return &value
}

// take adds the steps of a worker that are new. Steps are told only once they are over, so each counts once. If the worker knows steps
// between the last one that it told and the first of these, nothing is taken: it must be asked for all. Of all that it knows, some
// may be missing.
func (s *sums) take(m *member, told *peer.History, all bool, now time.Time) (taken bool) {
	m.follow(told.Now, now)
	steps := slices.DeleteFunc(slices.Clone(told.Steps), func(step peer.Step) bool {
		at := step.Time + m.shift
		return step.Time <= m.through || step.Time%stepSeconds != 0 || at > now.Unix() || at <= now.Unix()-history.Seconds
	})
	if len(steps) > 0 && steps[0].Time != m.through+stepSeconds && !all {
		return false
	}
	for _, step := range steps {
		if step.Time <= m.through { // not in order
			continue
		}
		m.through = step.Time
		s.version++
		sum := s.at(step.Time + m.shift)
		sum.changed = s.version
		sum.add(step)
	}
	return true
}

// follow finds out by how much a worker's clock differs, in whole steps. It changes only with a clock that is set: near the middle
// between two steps it would go to and fro.
func (m *member) follow(theirs, now time.Time) {
	differs := now.Unix() - theirs.Unix()
	if off := differs - m.shift; off < -stepSeconds || off > stepSeconds || m.through == 0 {
		m.shift = (differs + stepSeconds/2) / stepSeconds * stepSeconds
		if differs < 0 {
			m.shift = (differs - stepSeconds/2) / stepSeconds * stepSeconds
		}
	}
}

func (s *sums) at(time int64) *sum {
	place := &s.steps[time/stepSeconds%kept]
	if *place == nil || (*place).time != time {
		*place = &sum{time: time}
	}
	return *place
}

func (s *sum) add(step peer.Step) {
	s.workers++
	s.revoked += max(step.Revoked, 0)
	s.calls += max(step.Calls, 0)
	s.busy += max(step.Busy, 0)
	for name, n := range step.Failed {
		if cause := slices.Index(history.Causes[:], name); cause >= 0 && n > 0 {
			s.failed[cause] += n
		}
	}
	s.took.Add(step.Took)
	s.live.Add(step.Live)
	s.bulk.Add(step.Bulk)
	if step.Limit != nil {
		s.limit, s.limits = s.limit+max(*step.Limit, 0), s.limits+1
	}
	if step.Rate > 0 {
		s.rate, s.rates = s.rate+step.Rate, s.rates+1
	}
	s.backlogs[0].add(step.LiveBacklog)
	s.backlogs[1].add(step.BulkBacklog)
}

// since are the sums that begin after a time, oldest first.
func (s *sums) since(after int64) []*sum {
	list := []*sum{}
	for _, sum := range s.steps {
		if sum != nil && sum.time > after {
			list = append(list, sum)
		}
	}
	slices.SortFunc(list, func(a, b *sum) int { return int(a.time - b.time) })
	return list
}

// Delay is how long revocations took, in seconds, of all workers together.
type Delay struct {
	Revoked int     `json:"revoked"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
}

// Times are by lane: those of the last minute, and of the last 15 minutes.
type Times struct {
	Minute  map[config.Lane]Delay `json:"minute"`
	Quarter map[config.Lane]Delay `json:"quarter"`
}

func (s *sums) times(now time.Time) Times {
	return Times{Minute: s.delays(now.Unix() - 60 - stepSeconds), Quarter: s.delays(now.Unix() - history.Seconds)}
}

func (s *sums) delays(after int64) map[config.Lane]Delay {
	var live, bulk history.Distribution
	for _, sum := range s.since(after) {
		live.AddAll(&sum.live)
		bulk.AddAll(&sum.bulk)
	}
	delays := map[config.Lane]Delay{}
	for lane, d := range map[config.Lane]*history.Distribution{config.Live: &live, config.Bulk: &bulk} {
		if d.Count() > 0 {
			delays[lane] = Delay{Revoked: d.Count(), P50: *d.Quantile(0.5), P99: *d.Quantile(0.99)}
		}
	}
	return delays
}

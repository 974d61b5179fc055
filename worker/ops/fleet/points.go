package fleet

import (
	"math"
	"strconv"
	"time"

	"revoker/worker/ops/history"
)

// Point is what all workers did in one step, as the page plots it.
type Point struct {
	Time    int64 `json:"t"` // Unix seconds, when the step began
	Workers int   `json:"workers"`
	// Revoked is how many sessions in a second, and Calls how many calls.
	Revoked float64 `json:"revoked"`
	Calls   float64 `json:"calls"`
	// Failed counts the other calls and dead letters of the step by cause.
	Failed map[string]int `json:"failed,omitempty"`
	// P50 and P99 are of all call durations, in milliseconds. They are null without a call.
	P50 *float64 `json:"p50"`
	P99 *float64 `json:"p99"`
	// InFlight is how many calls were in flight on average, and Limit how many could be. Rate is how many the API was found to allow in
	// a second. Both are null unless every worker tells.
	InFlight float64  `json:"inFlight"`
	Limit    *int     `json:"limit"`
	Rate     *float64 `json:"rate"`
	// Live and Bulk are the lanes'. Without a bulk lane Bulk has only nulls.
	Live LanePoint `json:"live"`
	Bulk LanePoint `json:"bulk"`
}

// LanePoint is one lane's part of a point.
type LanePoint struct {
	// Backlog is how many events were never delivered, as far as it is known.
	Backlog *int `json:"backlog"`
	// P50 and P99 are of the time to revoked, in seconds. They are null without a revocation.
	P50 *float64 `json:"p50"`
	P99 *float64 `json:"p99"`
}

// points returns the points that changed since version seen. With patient a step waits for the workers that tell of it last, so that
// its point does not change while somebody looks at it.
func (s *sums) points(seen int, patient bool, now time.Time) (list []Point, version int) {
	over := now.Unix() - stepSeconds
	if patient {
		over -= grace
	}
	list = []Point{}
	for _, sum := range s.since(now.Unix() - history.Seconds - stepSeconds) {
		if !sum.shown && sum.time <= over {
			s.version++
			sum.shown, sum.changed = true, s.version
		}
		if sum.shown && sum.changed > seen {
			list = append(list, sum.point())
		}
	}
	return list, s.version
}

func (s *sum) point() Point {
	p := Point{
		Time: s.time, Workers: s.workers, Revoked: tenth(float64(s.revoked) / stepSeconds), Calls: tenth(float64(s.calls) / stepSeconds),
		InFlight: tenth(s.busy / stepSeconds), P50: inMilliseconds(s.took.Quantile(0.5)), P99: inMilliseconds(s.took.Quantile(0.99)),
		Live: LanePoint{s.backlogs[0].value(), rounded(s.live.Quantile(0.5)), rounded(s.live.Quantile(0.99))},
		Bulk: LanePoint{s.backlogs[1].value(), rounded(s.bulk.Quantile(0.5)), rounded(s.bulk.Quantile(0.99))},
	}
	if s.limits == s.workers {
		p.Limit = &s.limit
	}
	if s.rates == s.workers {
		rate := tenth(s.rate)
		p.Rate = &rate
	}
	for cause, n := range s.failed {
		if n > 0 {
			if p.Failed == nil {
				p.Failed = map[string]int{}
			}
			p.Failed[history.Causes[cause]] = n
		}
	}
	return p
}

func tenth(value float64) float64 { return math.Round(10*value) / 10 }

// rounded keeps three digits: there is no more in the buckets.
func rounded(value *float64) *float64 {
	if value == nil || *value <= 0 {
		return value
	}
	result, err := strconv.ParseFloat(strconv.FormatFloat(*value, 'g', 3, 64), 64)
	if err != nil {
		return nil
	}
	return &result
}

func inMilliseconds(seconds *float64) *float64 {
	if seconds == nil {
		return nil
	}
	value := 1000 * *seconds
	return rounded(&value)
}

package worker

import (
	"slices"
	"sync"
	"time"

	"revoker/events"
)

const (
	// recentTime is how far back the recent revocations go, and maxRecent how many are kept of each lane.
	recentTime = time.Minute
	maxRecent  = 1024
)

// recent keeps how long the last revocations of a lane took, for whoever asks how the lane is doing.
type recent struct {
	mu   sync.Mutex
	ages [maxRecent]struct {
		at, age time.Duration
	}
	next int // where the next one goes; how many there were
}

func (r *recent) add(now, age time.Duration) {
	r.mu.Lock()
	r.ages[r.next%maxRecent] = struct{ at, age time.Duration }{now, age}
	r.next++
	r.mu.Unlock()
}

// delay tells p50 and p99 of those in recentTime.
func (r *recent) delay(now time.Duration) (d events.LaneDelay) {
	r.mu.Lock()
	var ages []time.Duration
	for _, a := range r.ages[:min(r.next, maxRecent)] {
		if now-a.at <= recentTime {
			ages = append(ages, a.age)
		}
	}
	r.mu.Unlock()
	if len(ages) == 0 {
		return d
	}
	slices.Sort(ages)
	at := func(part float64) float64 { return ages[int(part*float64(len(ages)-1))].Seconds() }
	return events.LaneDelay{Revoked: len(ages), P50: at(0.5), P99: at(0.99)}
}

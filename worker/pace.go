package worker

import (
	"sync"
	"time"
)

const (
	// paceBucket is the width of the buckets that due times fall into.
	paceBucket = 100 * time.Millisecond
	// paceHorizon is how many buckets are counted, a day; retries beyond are not paced.
	paceHorizon = int64(24 * time.Hour / paceBucket)
	// maxPaceCost lets even the slowest worker have a retry in five minutes.
	maxPaceCost = float64(5 * time.Minute / paceBucket)
	// minMeanCall bounds the capacity while no call has been measured.
	minMeanCall = 100 * time.Microsecond
)

// pacer spreads the due times of retries. The server delivers events that are due again before new ones, so that a crowd
// of retries that fall due together would starve the healthy flow. The time ahead is cut into buckets, and retries may
// fill each of them only to a share of what the slots can do in it. What the slots can do is slots / mean call time: a
// capacity, not the recent throughput, which would spiral down once only retries are left.
//
// It is safe for concurrent use.
type pacer struct {
	slots int
	share float64
	rate  float64 // calls a second that the rate limit allows; 0 for no limit

	mu       sync.Mutex
	worth    float64       // exponentially weighted mean: the part of the retries that end their event
	meanCall time.Duration // exponentially weighted means: of a call,
	meanPull time.Duration // and from a pull to its first event
	first    int64         // number of the bucket that filled[0] is for
	filled   []float64     // how full each bucket is, 1 for full
}

func newPacer(slots int, share, rate float64) *pacer {
	return &pacer{slots: slots, share: share, rate: rate, worth: 1}
}

// meanWeight is the weight of one call in the mean: it follows a change within some hundred calls.
const meanWeight = 1.0 / 64

// observe counts a call's duration into the mean.
func (p *pacer) observe(call time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.meanCall == 0 {
		p.meanCall = call
		return
	}
	p.meanCall += time.Duration(float64(call-p.meanCall) * meanWeight)
}

// pulled counts the round trip of a pull into its mean, and returns both means.
func (p *pacer) pulled(roundTrip time.Duration) (meanRoundTrip, meanCall time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meanPull += time.Duration(float64(roundTrip-p.meanPull) * meanWeight)
	return p.meanPull, p.meanCall
}

const (
	// Retries get their whole share while one in so many ends its event, by success or as a dead letter …
	worthwhile = 4
	// … and no less than this part of it where none does. A crowd that fails for ever then costs the healthy flow 8% by
	// default, and sessions that fail twice or thrice don't wait for it.
	leastPart = 0.4
)

// retried counts whether a retry ended its event.
func (p *pacer) retried(ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worth -= p.worth * meanWeight
	if ended {
		p.worth += meanWeight
	}
}

// place returns the delay of a retry that is due after delay at the earliest: as soon after as there is room. It takes the
// room. Where the slots do less than one retry a bucket, a retry fills several buckets.
func (p *pacer) place(now time.Time, delay time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now.UnixNano() / int64(paceBucket))
	due := now.Add(delay)
	i := due.UnixNano()/int64(paceBucket) - p.first
	for i < int64(len(p.filled)) && p.filled[i] >= 1 {
		i++
	}
	if i >= paceHorizon {
		return delay
	}
	start := time.Unix(0, (p.first+i)*int64(paceBucket))
	for cost, j := p.cost(), i; cost > 0; j++ {
		for int64(len(p.filled)) <= j {
			p.filled = append(p.filled, 0)
		}
		if j == i {
			start = start.Add(time.Duration(p.filled[i] * float64(paceBucket)))
		}
		taken := min(1-p.filled[j], cost)
		p.filled[j] += taken
		cost -= taken
	}
	return max(delay, start.Sub(now))
}

// cost is the part of a bucket that one retry takes.
func (p *pacer) cost() float64 {
	perSecond := float64(p.slots) / max(p.meanCall, minMeanCall).Seconds()
	if p.rate > 0 {
		perSecond = min(perSecond, p.rate)
	}
	share := p.share * max(min(worthwhile*p.worth, 1), leastPart)
	return min(1/(perSecond*share*paceBucket.Seconds()), maxPaceCost)
}

// forget drops the buckets before current.
func (p *pacer) forget(current int64) {
	passed := max(current-p.first, 0)
	p.filled = p.filled[:copy(p.filled, p.filled[min(passed, int64(len(p.filled))):])]
	p.first += passed
}

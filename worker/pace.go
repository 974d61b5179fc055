package worker

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// paceBucket is the width of the buckets that due times fall into.
	paceBucket = 100 * time.Millisecond
	// maxPaceCost lets even the slowest worker have a retry in five minutes.
	maxPaceCost = float64(5 * time.Minute / paceBucket)
	// minMeanCall bounds the capacity while no call has been measured.
	minMeanCall = 100 * time.Microsecond
)

// pacer spreads the due times of events that are handed back. The server delivers events that are due again before new
// ones, so a crowd that falls due together would starve the healthy flow. The time ahead is cut into buckets, and events
// may fill each of them only to a share of what the slots can do in it. What the slots can do is slots / mean call time: a
// capacity, not the recent throughput, which would spiral down once only retries are left.
//
// Buckets count events, and their size follows the present mean call time. So events that were placed while calls were
// slow leave room once calls are fast again. No event waits longer than limit beyond its own delay.
//
// Time is monotonic: a wall clock that is set, in either direction, moves no bucket. A pacer is safe for concurrent use.
type pacer struct {
	slots int
	share float64
	rate  float64       // the largest number of events per second; 0 for no limit
	limit time.Duration // the longest time that is added to a delay
	epoch time.Time     // of the buckets' numbers
	lanes [2]foresight  // once no new events are left, nobody is starved
	// present, if not nil, is how many slots there are at present, and the rate that the API was found to allow, 0 for none.
	present func() (slots int, rate float64)
	calls   *pacer // measures the calls for this one too; nil if it does so itself

	mu       sync.Mutex
	worth    float64       // exponentially weighted mean: the part of the retries that end their event
	meanCall time.Duration // exponentially weighted means: of a call,
	meanPull time.Duration // and from a pull to its first event
	first    int64         // number of the bucket that filled[0] is for
	filled   []float64     // events in each bucket; one that is larger than a bucket fills several in part
}

func newPacer(slots int, share, rate float64, limit time.Duration) *pacer {
	p := &pacer{slots: slots, share: share, rate: rate, limit: limit, epoch: time.Now(), worth: 1}
	p.lanes[0].fresh.Store(true) // until a delivery says otherwise
	return p
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

// mean is that of a call.
func (p *pacer) mean() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meanCall
}

// pulled counts the round trip of a pull into its mean, and returns both means.
func (p *pacer) pulled(roundTrip time.Duration) (meanRoundTrip, meanCall time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meanPull += time.Duration(float64(roundTrip-p.meanPull) * meanWeight)
	return p.meanPull, p.meanCall
}

// waiting tells how many new events of the lane wait behind the delivery that came last, and its place in the stream.
func (p *pacer) waiting(now time.Time, lane int, sequence, pending uint64) {
	p.lanes[lane].saw(max(now.Sub(p.epoch), 1), sequence, pending)
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

// place returns the delay of an event that is due after delay at the earliest: as soon after as there is room. It takes
// the room. Where there is none within the limit, any time within it will do.
func (p *pacer) place(now time.Time, delay time.Duration) time.Duration {
	mean, slots, rate := time.Duration(0), p.slots, p.rate
	if p.calls != nil {
		mean = p.calls.mean()
	}
	if p.present != nil {
		var learned float64
		if slots, learned = p.present(); learned > 0 && (rate == 0 || learned < rate) {
			rate = learned
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls != nil {
		p.meanCall = mean
	}
	since := max(now.Sub(p.epoch), 0)
	p.forget(int64(since / paceBucket))
	size := p.sizes(since, slots, rate)
	i := max(int64((since+delay)/paceBucket)-p.first, 0)
	last := i + int64(p.limit/paceBucket)
	for i < int64(len(p.filled)) && p.filled[i] >= size.at(p.first+i) {
		if i++; i > last {
			return delay + rand.N(p.limit+1)
		}
	}
	start := time.Duration(p.first+i) * paceBucket
	for left, j := 1.0, i; left > 0 && j <= last; j++ {
		for int64(len(p.filled)) <= j {
			p.filled = append(p.filled, 0)
		}
		if j == i {
			start += time.Duration(p.filled[i] / size.at(p.first+i) * float64(paceBucket))
		}
		taken := max(min(size.at(p.first+j)-p.filled[j], left), 0)
		p.filled[j] += taken
		left -= taken
	}
	return max(delay, start-since)
}

// sizes say how many events a bucket may have: a share while new events wait, and from the bucket on in which they will be done, all
// that those leave that come later. It is below 1 where the slots do less than one event in a bucket's time.
type sizes struct {
	before, after float64
	done          int64 // the first bucket that has the second size
}

func (s sizes) at(bucket int64) float64 {
	if bucket < s.done {
		return s.before
	}
	return s.after
}

func (p *pacer) sizes(since time.Duration, slots int, rate float64) sizes {
	perSecond := float64(slots) / max(p.meanCall, minMeanCall).Seconds()
	if rate > 0 {
		perSecond = min(perSecond, rate)
	}
	share := p.share * max(min(worthwhile*p.worth, 1), leastPart)
	s := sizes{before: perSecond * share, done: int64(since / paceBucket)}
	left, inflow := time.Duration(0), 0.0
	for lane := range p.lanes {
		in, more := p.lanes[lane].done()
		if in < 0 {
			left, s.done = in, math.MaxInt64
			break
		}
		left, inflow = max(left, in), inflow+more
	}
	if left > 0 {
		s.done = int64((since+left)/paceBucket) + 1
	}
	s.after = max(perSecond-inflow, s.before)
	s.before = max(s.before*paceBucket.Seconds(), 1/maxPaceCost)
	s.after = max(s.after*paceBucket.Seconds(), 1/maxPaceCost)
	return s
}

// forget drops the buckets before current.
func (p *pacer) forget(current int64) {
	passed := max(current-p.first, 0)
	p.filled = p.filled[:copy(p.filled, p.filled[min(passed, int64(len(p.filled))):])]
	p.first += passed
}

package retry

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

// Pacer spreads the due times of events that are handed back. The server delivers events that are due again before new
// ones, so a crowd that falls due together would starve the healthy flow. The time ahead is cut into buckets, and events
// may fill each of them only to a share of what the slots can do in it. What the slots can do is slots / mean call time: a
// capacity, not the recent throughput, which would spiral down once only retries are left.
//
// Buckets count events, and their size follows the present mean call time. So events that were placed while calls were
// slow leave room once calls are fast again. No event waits longer than [Pace.Longest] beyond its own delay.
//
// Time is monotonic: a wall clock that is set, in either direction, moves no bucket. A pacer is safe for concurrent use.
type Pacer struct {
	Pace
	lanes [2]foresight // once no new events are left, nobody is starved

	mu       sync.Mutex
	worth    float64       // exponentially weighted mean: the part of the retries that end their event
	meanCall time.Duration // exponentially weighted mean
	first    int64         // number of the bucket that filled[0] is for
	filled   []float64     // events in each bucket; one that is larger than a bucket fills several in part
}

// Pace says how fast events may come back.
type Pace struct {
	Slots   int           // how many calls may be in flight
	Share   float64       // the part of the slots' capacity that events which come back may take while new ones wait
	Rate    float64       // the largest number of events per second; 0 for no limit
	Longest time.Duration // the longest time that is added to a delay
	// Present, if not nil, is how many slots there are at present, and the rate that the API was found to allow, 0 for none.
	Present func() (slots int, rate float64)
	Calls   *Pacer    // measures the calls for this one too; nil if it does so itself
	Start   time.Time // when the pacer's time begins; no later time than the first that it is told
}

// NewPacer returns one to which no event was handed back yet.
func NewPacer(pace Pace) *Pacer {
	p := &Pacer{Pace: pace, worth: 1}
	p.lanes[0].fresh.Store(true) // until a delivery says otherwise
	return p
}

// meanWeight is the weight of one call in the mean: it follows a change within some hundred calls.
const meanWeight = 1.0 / 64

// Observe counts a call's duration into the mean.
func (p *Pacer) Observe(call time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.meanCall == 0 {
		p.meanCall = call
		return
	}
	p.meanCall += time.Duration(float64(call-p.meanCall) * meanWeight)
}

// MeanCall is how long a call takes; 0 before the first.
func (p *Pacer) MeanCall() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.meanCall
}

// Waiting tells how many new events of the lane wait behind the delivery that came last, and its place in the stream, which is 0 for an
// event that was delivered before.
func (p *Pacer) Waiting(now time.Time, lane int, sequence, pending uint64) {
	p.lanes[lane].saw(max(now.Sub(p.Start), 1), sequence, pending)
}

const (
	// Retries get their whole share while one in so many ends its event, by success or as a dead letter …
	worthwhile = 4
	// … and no less than this part of it where none does. A crowd that fails for ever then costs the healthy flow 8% by
	// default, and sessions that fail twice or thrice don't wait for it.
	leastPart = 0.4
)

// Retried counts whether a retry ended its event.
func (p *Pacer) Retried(ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worth -= p.worth * meanWeight
	if ended {
		p.worth += meanWeight
	}
}

// Place returns the delay of an event that is due after delay at the earliest: as soon after as there is room. It takes
// the room. Where there is none within [Pace.Longest], any time within it will do.
func (p *Pacer) Place(now time.Time, delay time.Duration) time.Duration {
	mean, slots, rate := time.Duration(0), p.Slots, p.Rate
	if p.Calls != nil {
		mean = p.Calls.MeanCall()
	}
	if p.Present != nil {
		var learned float64
		if slots, learned = p.Present(); learned > 0 && (rate == 0 || learned < rate) {
			rate = learned
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Calls != nil {
		p.meanCall = mean
	}
	since := max(now.Sub(p.Start), 0)
	p.forget(int64(since / paceBucket))
	size := p.sizes(since, slots, rate)
	i := max(int64((since+delay)/paceBucket)-p.first, 0)
	last := i + int64(p.Longest/paceBucket)
	for i < int64(len(p.filled)) && p.filled[i] >= size.at(p.first+i) {
		if i++; i > last {
			return delay + rand.N(p.Longest+1)
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

func (p *Pacer) sizes(since time.Duration, slots int, rate float64) sizes {
	perSecond := float64(slots) / max(p.meanCall, minMeanCall).Seconds()
	if rate > 0 {
		perSecond = min(perSecond, rate)
	}
	share := p.Share * max(min(worthwhile*p.worth, 1), leastPart)
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
func (p *Pacer) forget(current int64) {
	passed := max(current-p.first, 0)
	p.filled = p.filled[:copy(p.filled, p.filled[min(passed, int64(len(p.filled))):])]
	p.first += passed
}

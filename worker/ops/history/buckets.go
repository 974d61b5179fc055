package history

import (
	"math"
	"math/bits"
	"time"

	"revoker/events/peer"
)

// Durations are counted in buckets: 32 for each doubling, from one microsecond to twelve days.
const (
	perDoubling     = 1 << doublingBits
	doublingBits    = 5
	durationBuckets = 40 * perDoubling
)

func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 1))
	doubling := bits.Len64(us) - 1
	within := int((us << doublingBits >> doubling) & (perDoubling - 1))
	return min(doubling*perDoubling+within, durationBuckets-1)
}

// middleOf returns the middle of a bucket in milliseconds, where so many make a doubling.
func middleOf(bucket, perDoubling int) float64 {
	low := math.Exp2(float64(bucket/perDoubling)) * (1 + float64(bucket%perDoubling)/float64(perDoubling))
	return low * (1 + 0.5/float64(perDoubling)) / 1000
}

// quantiles count durations in buckets.
type quantiles struct {
	n       int
	buckets [durationBuckets]uint32
}

func (q *quantiles) add(d time.Duration) {
	q.n++
	q.buckets[bucketOf(d)]++
}

func (q *quantiles) addAll(other *quantiles) {
	q.n += other.n
	for bucket, n := range other.buckets {
		q.buckets[bucket] += n
	}
}

// seconds is a quantile in seconds. There must be a duration.
func (q *quantiles) seconds(part float64) float64 {
	ms := middleOf(bucketAt(q.buckets[:], q.n, part), perDoubling)
	return milliseconds(time.Duration(ms*float64(time.Millisecond))) / 1000
}

// histogram is what other workers are told: half as many buckets, and no empty ones.
func (q *quantiles) histogram() peer.Histogram {
	var list peer.Histogram
	if q.n == 0 {
		return list
	}
	for bucket := 0; bucket < durationBuckets; bucket += finer {
		if n := q.buckets[bucket] + q.buckets[bucket+1]; n > 0 {
			list = append(list, bucket/finer, int(n))
		}
	}
	return list
}

// bucketAt is the bucket of a quantile of n durations.
func bucketAt[count uint32 | uint64](buckets []count, n int, part float64) int {
	left := int(math.Ceil(part * float64(n)))
	for bucket, n := range buckets {
		if left -= int(n); left <= 0 {
			return bucket
		}
	}
	return len(buckets) - 1
}

const (
	finer         = 2 // this package's buckets within one of a histogram
	sharedBuckets = durationBuckets / finer
	// maxCount bounds what is believed of one bucket.
	maxCount = 1 << 24
)

// Distribution adds up the histograms of several workers and steps. Its zero value is empty.
type Distribution struct {
	n       int
	buckets []uint64
}

// Add adds a histogram. It leaves out what is none: others wrote it.
func (d *Distribution) Add(h peer.Histogram) {
	for i := 0; i+1 < len(h) && i < 2*sharedBuckets; i += 2 {
		bucket, n := h[i], h[i+1]
		if bucket >= 0 && bucket < sharedBuckets && n > 0 && n <= maxCount {
			d.grow(bucket + 1)
			d.buckets[bucket] += uint64(n)
			d.n += n
		}
	}
}

func (d *Distribution) grow(buckets int) {
	if missing := buckets - len(d.buckets); missing > 0 {
		d.buckets = append(d.buckets, make([]uint64, missing)...)
	}
}

// AddAll adds another distribution.
func (d *Distribution) AddAll(other *Distribution) {
	d.grow(len(other.buckets))
	for bucket, n := range other.buckets {
		d.buckets[bucket] += n
	}
	d.n += other.n
}

// Count is how many durations were added.
func (d *Distribution) Count() int { return d.n }

// Quantile is in seconds, to within 4%. It is nil without a duration.
func (d *Distribution) Quantile(part float64) *float64 {
	if d.n == 0 {
		return nil
	}
	value := middleOf(bucketAt(d.buckets, d.n, part), perDoubling/finer) / 1000
	return &value
}

// seconds is a quantile to the microsecond. There must be a duration.
func (d *Distribution) seconds(part float64) float64 {
	return milliseconds(time.Duration(*d.Quantile(part)*float64(time.Second))) / 1000
}

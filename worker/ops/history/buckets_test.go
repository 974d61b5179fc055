package history

import (
	"math"
	"testing"
	"time"

	"revoker/events/peer"
)

func TestBucketsAreCloseTogether(t *testing.T) {
	t.Parallel()
	for d := 10 * time.Microsecond; d < 7*24*time.Hour; d = d * 101 / 100 {
		want := float64(d.Nanoseconds()) / 1e6
		if got := middleOf(bucketOf(d), perDoubling); d > time.Millisecond && math.Abs(got-want) > want/50 || math.Abs(got-want) > want/10 {
			t.Fatalf("%s is in the bucket around %v ms", d, got)
		}
		var q quantiles
		q.add(d)
		if got := distributionOf(q.histogram()).Quantile(0.5); d > time.Millisecond && math.Abs(*got-d.Seconds()) > d.Seconds()/25 {
			t.Fatalf("%s is in the shared bucket around %v s", d, *got)
		}
	}
}

// The p99 of two workers is that of all their calls: the slow worker's alone would be 2 s, and the mean of both 1 s.
func TestDistributionsAddUp(t *testing.T) {
	t.Parallel()
	var fast, slow quantiles
	for range 990 {
		fast.add(10 * time.Millisecond)
	}
	for range 8 {
		fast.add(20 * time.Millisecond)
	}
	slow.add(2 * time.Second)
	slow.add(2 * time.Second)
	var sum Distribution
	sum.Add(fast.histogram())
	sum.Add(slow.histogram())
	if sum.Count() != 1000 || !nearly(sum.Quantile(0.5), 0.01) || !nearly(sum.Quantile(0.995), 0.02) || !nearly(sum.Quantile(0.999), 2) {
		t.Errorf("%d: p50 %v, p99.5 %v, p99.9 %v", sum.Count(), *sum.Quantile(0.5), *sum.Quantile(0.995), *sum.Quantile(0.999))
	}
}

func nearly(got *float64, want float64) bool { return got != nil && math.Abs(*got-want) <= want/25 }

// Another worker, or somebody in its place, may answer anything.
func TestStrangeHistogramsAreLeftOut(t *testing.T) {
	t.Parallel()
	var d Distribution
	for _, strange := range []peer.Histogram{nil, {1}, {-1, 5}, {1 << 40, 5}, {3, -7}, {3, 1 << 60}, {sharedBuckets, 1}, make(peer.Histogram, 1<<16)} {
		d.Add(strange)
	}
	if d.Count() != 0 || d.Quantile(0.5) != nil {
		t.Errorf("%d were counted", d.Count())
	}
	if d.Add(peer.Histogram{3, 1, 4}); d.Count() != 1 {
		t.Errorf("%d were counted, want 1", d.Count())
	}
}

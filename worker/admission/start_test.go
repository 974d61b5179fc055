package admission

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// Workers that begin together, as at an update, meet a queue that they made themselves, and each may take it for the API's own time. The
// others must not wait for long, in the first seconds or later.
func TestWorkersThatBeginTogetherLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		each        time.Duration
		workers     int
		soon, later float64 // how many times as long as without a queue the others wait, in the middle
	}{
		{10 * time.Millisecond, 4, 2.2, 1.7},
		{10 * time.Millisecond, 16, 7.2, 1.9},
		{100 * time.Millisecond, 4, 2.8, 1.9},
		{100 * time.Millisecond, 16, 8.5, 3.2},
	} {
		for _, within := range []time.Duration{1, 500 * time.Millisecond, 3 * time.Second} {
			t.Run(fmt.Sprintf("%d workers within %s, calls of %s", c.workers, within, c.each), func(t *testing.T) {
				t.Parallel()
				soon, later := 0.0, 0.0
				const seeds = 10
				for seed := range uint64(seeds) {
					l := newLoad(0, 256)
					l.random = rand.New(rand.NewPCG(seed, 2))
					l.now = l.now.Add(time.Duration(l.random.Int64N(int64(floorInterval))))
					newServers(l, 16, c.each).each = func() time.Duration {
						return c.each*8/10 + time.Duration(l.random.Int64N(int64(c.each)*4/10))
					}
					for range c.workers {
						l.after(time.Duration(l.random.Int64N(int64(within))), func() { l.add(256).begin() })
					}
					waits := l.neighbours()
					waited := func(d time.Duration) float64 {
						*waits = nil
						l.run(d)
						return percentile(*waits, .5).Seconds() / c.each.Seconds() / seeds
					}
					l.run(within + time.Second)
					soon += waited(12 * time.Second)
					l.run(45 * time.Second)
					later += waited(12 * time.Second)
				}
				t.Logf("the others wait %.2f times as long at first, %.2f times later", soon, later)
				if soon > c.soon || later > c.later {
					t.Errorf("the targets are %.1f and %.1f", c.soon, c.later)
				}
			})
		}
	}
}

// A worker that begins with two calls soon has all its slots, also where an API's answers take now this long and now that.
func TestLimitGrowsSoon(t *testing.T) {
	t.Parallel()
	for _, sigma := range []float64{0.02, 0.3, 1} {
		soon, all := 0.0, 0.0
		const seeds, slots, call = 20, 64, 20 * time.Millisecond
		for seed := range uint64(seeds) {
			l := newLoad(1, slots)
			l.random = rand.New(rand.NewPCG(seed, 2))
			l.now = l.now.Add(time.Duration(l.random.Int64N(int64(time.Minute))))
			l.api = func() (time.Duration, Ended) {
				return time.Duration(float64(call) * math.Exp(sigma*l.random.NormFloat64()-sigma*sigma/2)), Answered
			}
			first := l.rate(time.Second) / (slots / call.Seconds())
			soon += first / seeds
			all += (first + 30*l.rate(30*time.Second)/(slots/call.Seconds())) / 31 / seeds
		}
		t.Logf("sigma %.2f: %.3f of what all slots do in the first second, %.4f in 31", sigma, soon, all)
		if soon < 0.6 || all < 0.98 {
			t.Error("it grows too slowly, or it does not stay")
		}
	}
}

// A worker that has few calls in a queue which others made waits long for the next answer. That is no hang.
func TestLimitDoesNotTakeTheQueueOfOthersForAHang(t *testing.T) {
	t.Parallel()
	limit, now := NewLimit(64), time.Unix(1_800_000_003, 0)
	call := func(took, every time.Duration) {
		for range every / (10 * time.Millisecond) {
			now = now.Add(10 * time.Millisecond)
			limit.Full(now)
		}
		limit.Called(now, Call{Ended: Answered, Took: took, InFlight: 2})
	}
	for range minSamples {
		call(100*time.Millisecond, 50*time.Millisecond)
	}
	before, _ := limit.Now(now)
	call(1500*time.Millisecond, 1450*time.Millisecond) // it is not known yet that there is a queue
	limit.set(float64(before), ByLatency)
	for range 10 {
		call(1500*time.Millisecond, 750*time.Millisecond)
	}
	if n, _ := limit.Now(now); n > before {
		t.Errorf("the limit rose from %d to %d", before, n)
	}
}

// A slow API is no reason to stay at the beginning.
func TestLimitGrowsOnASlowAPI(t *testing.T) {
	t.Parallel()
	for _, call := range []time.Duration{200 * time.Millisecond, 1500 * time.Millisecond, 5 * time.Second} {
		l := newLoad(1, 64)
		l.api = func() (time.Duration, Ended) { return call/2 + time.Duration(l.random.Int64N(int64(call))), Answered }
		took := time.Duration(0)
		for n := 0; n < 64; took += call {
			if l.run(call); took > 20*call {
				t.Fatalf("calls of %s: the limit is %d after %s", call, n, took)
			}
			n, _ = l.workers[0].limit.Now(l.now)
		}
		t.Logf("calls of %s: all slots after %s", call, took)
	}
}

// Sessions that hang at the head of the queue do not keep the first calls for themselves.
func TestLimitGrowsBlindly(t *testing.T) {
	t.Parallel()
	for bound, want := range map[int]int{4: 4, 64: blindLimit} {
		limit, now := NewLimit(bound), time.Unix(1_800_000_003, 0)
		for range 100 {
			now = now.Add(100 * time.Millisecond)
			limit.Called(now, Call{Ended: Overloaded, Took: 100 * time.Millisecond, InFlight: 2})
		}
		if n, _ := limit.Now(now); n != want {
			t.Errorf("of %d: the limit is %d, want %d", bound, n, want)
		}
	}
}

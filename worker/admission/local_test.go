package admission

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// A process that does not get its CPU sees long calls, and the API has no queue.
func TestAProcessThatStandsStillHasNoLowLimit(t *testing.T) {
	t.Parallel()
	l := newLoad(1, 256)
	took := pausing(250*time.Millisecond, 60*time.Millisecond)(l)
	l.api = func() (time.Duration, Ended) { return took(), Answered }
	l.stall = func(took time.Duration) time.Duration { return max(took-20*time.Millisecond, 0) }
	l.run(10 * time.Second)
	for range 100 {
		l.run(100 * time.Millisecond)
		if n, _ := l.workers[0].limit.Now(l.now); n < 240 && l.workers[0].limit.measuring == 0 {
			t.Fatalf("the limit is %d", n)
		}
	}
}

// A queue that is longer than this process stands still is seen all the same.
func TestAProcessThatStandsStillSeesAQueue(t *testing.T) {
	t.Parallel()
	l := newLoad(1, 256)
	newServers(l, 16, 10*time.Millisecond)
	l.stall = func(time.Duration) time.Duration { return 4 * time.Millisecond }
	l.run(20 * time.Second)
	if n, _ := l.workers[0].limit.Now(l.now); n > 64 {
		t.Errorf("%d calls may be in flight at an API that serves 16", n)
	}
}

func TestALateLookAtTheClockIsAStall(t *testing.T) {
	t.Parallel()
	l, at := newLocalDelay(), time.Unix(1_800_000_000, 0)
	after := func(d time.Duration) time.Time { return at.Add(lookInterval + d) }
	for _, c := range []struct {
		name string
		do   func() time.Duration
		want time.Duration
	}{
		{"nothing planned", func() time.Duration { return l.stall(after(time.Hour)) }, 0},
		{"in time", func() time.Duration { l.plan(at); l.looked(after(lookGrain)); return l.stall(after(lookGrain)) }, 0},
		{"late", func() time.Duration {
			l.plan(at)
			l.looked(after(30 * time.Millisecond))
			return l.stall(after(time.Second))
		}, 30*time.Millisecond - lookGrain},
		{"told once", func() time.Duration { return l.stall(after(time.Second)) }, 0},
		{"overdue", func() time.Duration { l.plan(at); return l.stall(after(20 * time.Millisecond)) }, 20*time.Millisecond - lookGrain},
		{"and the rest of it", func() time.Duration { l.looked(after(50 * time.Millisecond)); return l.stall(after(time.Second)) }, 30*time.Millisecond - lookGrain},
		{"the longest of several", func() time.Duration {
			for _, late := range []time.Duration{5, 40, 10} {
				l.plan(at)
				l.looked(after(late * time.Millisecond))
			}
			return l.stall(after(time.Second))
		}, 40*time.Millisecond - lookGrain},
	} {
		if got := c.do(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// What this process waits for a CPU is estimated a moment late: it is taken off when calls are as fast as ever again. That must not
// pass for an API that became faster, or calls would seem to queue from then on.
func TestLimitIsNotMisledByALateEstimate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ call, local time.Duration }{
		{10 * time.Millisecond, 3 * time.Millisecond},
		{20 * time.Millisecond, 10 * time.Millisecond},
		{20 * time.Millisecond, 30 * time.Millisecond},
	} {
		l := newLoad(1, 64)
		each := c.call
		l.api = func() (time.Duration, Ended) { return each, Answered }
		l.run(2 * time.Second) // no floor is measured from now on
		each, l.local = c.call+c.local, c.local
		l.run(localInterval)
		each = c.call
		l.run(localInterval)
		l.local = 0
		if part := l.rate(time.Second) / (64 / c.call.Seconds()); part < 0.95 {
			t.Errorf("calls of %s of which %s were taken off: %.2f of the throughput in the second after", c.call, c.local, part)
		}
	}
}

// The runtime tells how long goroutines wait for a processor.
func TestLocalDelayIsMeasured(t *testing.T) {
	t.Parallel()
	l := newLocalDelay()
	l.mean(time.Now())
	var busy sync.WaitGroup
	for range 10 * runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for range 1000 {
				runtime.Gosched()
			}
		})
	}
	busy.Wait()
	if d := l.mean(time.Now().Add(localInterval)); d <= 0 {
		t.Errorf("%s", d)
	}
}

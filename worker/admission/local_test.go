package admission

import (
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

// What this machine takes of a call is an estimate. It is too high for a while after the process stood still. The floor must not fall
// for it, or all later calls would seem to queue.
func TestAnEstimateOfLocalTimeLowersNoFloor(t *testing.T) {
	t.Parallel()
	l := newLoad(1, 64)
	l.api = func() (time.Duration, Ended) { return 20 * time.Millisecond, Answered }
	l.run(time.Second)
	l.local = 100 * time.Millisecond
	l.run(250 * time.Millisecond)
	if floor := l.workers[0].limit.floor; floor < 0.019 {
		t.Errorf("the floor is %.4f s", floor)
	}
	l.local = 0
	l.run(100 * time.Millisecond)
	if n, _ := l.workers[0].limit.Now(l.now); n != 64 {
		t.Errorf("the limit is %d of 64", n)
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

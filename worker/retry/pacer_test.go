package retry

import (
	"math/rand/v2"
	"testing"
	"time"
)

var testStart = time.Unix(1_700_000_000, 0)

// testPacer has a clock that begins at testStart.
func testPacer(slots int, share, rate float64) *Pacer {
	return NewPacer(Pace{Slots: slots, Share: share, Rate: rate, Longest: 10 * time.Minute, Start: testStart})
}

// duePerSecond places n retries that want to be due after delay and counts them by the second that they are due in.
func duePerSecond(t *testing.T, p *Pacer, n int, delay time.Duration) map[int]int {
	t.Helper()
	now := testStart
	due := map[int]int{}
	for range n {
		d := p.Place(now, delay)
		if d < delay {
			t.Fatalf("due after %s, earlier than asked", d)
		}
		due[int(d/time.Second)]++
	}
	return due
}

func TestPacerKeepsRetriesToTheirShare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slots     int
		call      time.Duration
		rate      float64
		perSecond int
	}{
		"fast":         {64, 10 * time.Millisecond, 0, 1280}, // 0.2 × 64 / 10 ms
		"rate-limited": {64, 10 * time.Millisecond, 100, 20},
		"slow":         {64, 8 * time.Second, 0, 1}, // 1.6 a second: one fills several buckets
	} {
		p := testPacer(c.slots, 0.2, c.rate)
		p.Observe(c.call)
		const seconds = 10
		due := duePerSecond(t, p, seconds*c.perSecond, time.Second)
		for second, n := range due {
			if n > c.perSecond+c.perSecond/10+1 {
				t.Errorf("%s: %d are due in second %d, want about %d", name, n, second, c.perSecond)
			}
			if second > seconds+2 {
				t.Errorf("%s: some are due only in second %d", name, second)
			}
		}
	}
}

// Retries that hardly ever end their event get less: 512 a second of 1,280, and all of it again once they do.
func TestPacerGivesRetriesWhatTheyAreWorth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		every     int // so many retries end one event
		perSecond int
	}{{1, 1280}, {3, 1280}, {8, 640}, {1000, 512}} {
		p := testPacer(64, 0.2, 0)
		p.Observe(10 * time.Millisecond)
		for i := range 1200 {
			p.Retried(i%c.every == 0)
		}
		n := duePerSecond(t, p, 5000, time.Second)[2]
		if low, high := c.perSecond*85/100, c.perSecond*115/100; n < low || n > high {
			t.Errorf("one in %d ends its event: %d a second, want about %d", c.every, n, c.perSecond)
		}
	}
}

func TestPacerLeavesALoneRetryAlone(t *testing.T) {
	t.Parallel()
	p := testPacer(64, 0.2, 0)
	p.Observe(10 * time.Millisecond)
	now := testStart.Add(12345)
	for range 100 {
		delay := rand.N(time.Hour)
		if got := p.Place(now, delay); got != delay {
			t.Fatalf("asked for %s, got %s", delay, got)
		}
		now = now.Add(2 * time.Hour)
	}
}

func TestPacerForgetsWhatHasPassed(t *testing.T) {
	t.Parallel()
	p := testPacer(64, 0.2, 0)
	p.Observe(10 * time.Millisecond)
	now := testStart
	for range 200 {
		for range 100 {
			p.Place(now, time.Second)
		}
		now = now.Add(time.Second)
	}
	if n := len(p.filled); n > 30 {
		t.Errorf("%d buckets are kept for the next two seconds", n)
	}
}

func TestPacerFollowsTheMeanCall(t *testing.T) {
	t.Parallel()
	p := testPacer(64, 0.2, 0)
	for range 10 {
		p.Observe(time.Second)
	}
	for range 1000 {
		p.Observe(10 * time.Millisecond)
	}
	if p.meanCall < 10*time.Millisecond || p.meanCall > 12*time.Millisecond {
		t.Errorf("the mean is %s after 1000 calls of 10ms", p.meanCall)
	}
}

// A wall clock that is set, forward or back, must neither panic nor move what was placed.
func TestPacerSurvivesAClockThatIsSet(t *testing.T) {
	t.Parallel()
	p := testPacer(64, 0.2, 0)
	p.Observe(10 * time.Millisecond)
	for i := range 1000 {
		now := testStart.Add(time.Duration(i) * time.Second)
		switch i % 3 {
		case 1:
			now = now.Add(-24 * time.Hour)
		case 2:
			now = now.Add(24 * time.Hour)
		}
		if d := p.Place(now, time.Second); d < time.Second || d > 24*time.Hour+20*time.Minute {
			t.Fatalf("due after %s", d)
		}
	}
}

// Slow calls that fail must not book the time for weeks: no event waits longer than the limit beyond its own delay.
func TestPacerBoundsWhatItAdds(t *testing.T) {
	t.Parallel()
	p := testPacer(64, 0.2, 0)
	p.Observe(10 * time.Second)
	longest := time.Duration(0)
	for range 50_000 {
		longest = max(longest, p.Place(testStart, time.Second))
	}
	if longest > time.Second+p.Longest {
		t.Errorf("the last is due after %s", longest)
	}
	// The API recovers: a first failure finds room as soon as calls are fast.
	for range 1000 {
		p.Observe(10 * time.Millisecond)
	}
	if d := p.Place(testStart, time.Second); d > 2*time.Second {
		t.Errorf("a first failure waits %s behind the slow ones", d)
	}
}

// Retries have all slots when nothing new waits behind them.
func TestPacerLetsRetriesHaveWhatNobodyElseWants(t *testing.T) {
	t.Parallel()
	p := testPacer(64, 0.2, 0)
	p.Observe(10 * time.Millisecond)
	p.Waiting(testStart, 0, 10, 0)
	if n := duePerSecond(t, p, 20_000, time.Second)[2]; n < 6000 || n > 6800 {
		t.Errorf("%d are due in a second, want 6,400", n)
	}
	p = testPacer(64, 0.2, 0)
	p.Observe(10 * time.Millisecond)
	p.Waiting(testStart, 0, 10, 0)
	p.Waiting(testStart, 1, 10, 1) // of the other lane
	if n := duePerSecond(t, p, 20_000, time.Second)[2]; n > 1400 {
		t.Errorf("%d are due in a second while new events wait, want 1,280", n)
	}
}

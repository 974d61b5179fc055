package retry

import (
	"testing"
	"time"
)

// The end of a backlog is foreseen, and not where as many come as are done.
func TestForesight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settled, published float64 // per second
		want               time.Duration
	}{
		"a backlog that is done":   {1000, 0, 8 * time.Second},
		"one to which more come":   {1000, 500, 18 * time.Second},
		"as many come as are done": {1000, 1000, -1},
		"more come":                {1000, 2000, -1},
	} {
		f, waiting, sequence := &foresight{}, 10_000.0, 0.0
		for at := 50 * time.Millisecond; at <= 2*time.Second; at += 50 * time.Millisecond {
			waiting += (c.published - c.settled) / 20
			sequence += c.settled / 20
			f.saw(at, uint64(sequence), uint64(waiting))
		}
		in, inflow := f.done()
		if in < 0 != (c.want < 0) || in >= 0 && (in < c.want*8/10 || in > c.want*12/10) {
			t.Errorf("%s: done in %s, want %s", name, in, c.want)
		}
		if in >= 0 && (inflow < c.published*0.8 || inflow > c.published*1.2) {
			t.Errorf("%s: %f come per second", name, inflow)
		}
	}
	f := &foresight{}
	f.saw(1, 1, 100)
	if in, _ := f.done(); in >= 0 {
		t.Errorf("one delivery foresees %s", in)
	}
	f.saw(2, 0, 0)
	if in, _ := f.done(); in != 0 {
		t.Errorf("none waits, and the end is in %s", in)
	}
}

// Due times behind the end of the backlog are dense.
func TestPacerFillsTheTimeBehindTheBacklog(t *testing.T) {
	t.Parallel()
	p := testPacer(64, 0.2, 0)
	p.Observe(10 * time.Millisecond)
	waiting, sequence := 16_000.0, 1.0 // at 5,120 a second, three seconds
	now := testStart
	for range 20 {
		now = now.Add(50 * time.Millisecond)
		waiting, sequence = waiting-256, sequence+256
		p.Waiting(now, 0, uint64(sequence), uint64(waiting))
	}
	perSecond := map[int]int{}
	for range 20_000 {
		perSecond[int((p.Place(now, time.Second)).Seconds())]++
	}
	if perSecond[1] > 1500 || perSecond[4] < 5000 {
		t.Errorf("due by second: %v, want 1,280 before the end and 6,400 after it", perSecond)
	}
}

package retry

import (
	"math"
	"testing"
	"time"
)

// byDefault is the policy of the default configuration.
var byDefault = Policy{Initial: 500 * time.Millisecond, Multiplier: 2, Max: 5 * time.Minute, Jitter: 0.5}

func TestDelayGrowsWithinItsJitter(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]Policy{
		"default":       byDefault,
		"no jitter":     {Initial: time.Second, Multiplier: 3, Max: time.Minute},
		"never growing": {Initial: time.Second, Multiplier: 1, Max: time.Minute, Jitter: 0.2},
		"at its most":   {Initial: time.Hour, Multiplier: 100, Max: 24 * time.Hour, Jitter: 1},
		"at its least":  {Initial: time.Millisecond, Multiplier: 1, Max: time.Millisecond, Jitter: 1},
	} {
		for _, attempt := range []int{0, 1, 2, 3, 5, 10, 20, 1000, math.MaxInt32} {
			interval := math.Min(float64(p.Initial)*math.Pow(p.Multiplier, math.Max(float64(attempt-1), 0)), float64(p.Max))
			low, high := time.Duration(interval*(1-p.Jitter)), time.Duration(interval*(1+p.Jitter))+2
			for range 50 {
				if d := p.Delay(attempt); d < max(low, MinDelay)-1 || d > max(high, MinDelay) {
					t.Fatalf("%s, attempt %d: %s is not from %s to %s", name, attempt, d, low, high)
				}
			}
		}
	}
}

func TestDelayIsSpread(t *testing.T) {
	t.Parallel()
	p := byDefault
	low, high := 0, 0
	for range 1000 {
		switch d := p.Delay(1); {
		case d < 400*time.Millisecond:
			low++
		case d > 600*time.Millisecond:
			high++
		}
	}
	if low < 100 || high < 100 {
		t.Errorf("%d of 1000 are early and %d late: no jitter", low, high)
	}
}

package admission

import "time"

const (
	// configuredBurst and learnedBurst are the times whose tokens may be used at once. A rate that was learned is close to what
	// the API allows, and so has little to spare.
	configuredBurst = 100 * time.Millisecond
	learnedBurst    = 20 * time.Millisecond
	// leastTokenWait keeps timers from being set for less than they are exact to.
	leastTokenWait = time.Millisecond
)

// tokens is a token bucket whose rate may change at any time. It is pure, as its owner has the lock and the clock.
// golang.org/x/time/rate has a clock of its own, and hands out reservations that can't be given to whoever comes first.
type tokens struct {
	most  float64 // REVOKER_RATE_LIMIT, in calls per second; 0 for no limit
	slots int
	n     float64
	at    time.Time
}

// atMost is the lower one of the rate and the configured limit.
func (t *tokens) atMost(perSecond float64) float64 {
	if t.most > 0 {
		return min(perSecond, t.most)
	}
	return perSecond
}

// take takes a token at a rate of perSecond, +Inf for none, or tells how long until there is one.
func (t *tokens) take(now time.Time, perSecond float64) (wait time.Duration) {
	burst := perSecond * learnedBurst.Seconds()
	if t.most > 0 && t.most <= perSecond {
		perSecond, burst = t.most, min(t.most*configuredBurst.Seconds(), float64(t.slots))
	}
	if perSecond > 1e9 {
		return 0
	}
	t.n = min(t.n+now.Sub(t.at).Seconds()*perSecond, max(burst, 1))
	t.at = now
	if t.n >= 1 {
		t.n--
		return 0
	}
	return max(time.Duration((1-t.n)/perSecond*float64(time.Second)), leastTokenWait)
}

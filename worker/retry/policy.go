package retry

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// MinDelay is the shortest delay: with none, the server would deliver the event again at once.
const MinDelay = time.Millisecond

// Policy is the exponential policy. It keeps no state: the number of the attempt comes from the delivery.
type Policy struct {
	Initial    time.Duration // the interval after the first attempt, above 0
	Multiplier float64       // of the interval, for each further attempt; at least 1
	Max        time.Duration // the longest interval
	Jitter     float64       // the part by which a delay may differ from its interval, either way; from 0 to 1
}

// Delay is how long to wait after the attempt that failed, counted from 1: (1 ± jitter) × the attempt's interval, and at least [MinDelay].
func (p Policy) Delay(attempt int) time.Duration {
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(p.Initial),
		backoff.WithMultiplier(p.Multiplier),
		backoff.WithMaxInterval(p.Max),
		backoff.WithRandomizationFactor(p.Jitter),
		backoff.WithMaxElapsedTime(0), // for ever; the default would give a negative delay after 15 minutes
	)
	// Once the interval is the largest, or never grows, further steps change nothing.
	interval := float64(p.Initial)
	for step := 1; step < attempt && interval < float64(p.Max) && p.Multiplier > 1; step++ {
		policy.NextBackOff()
		interval *= p.Multiplier
	}
	return max(policy.NextBackOff(), MinDelay)
}

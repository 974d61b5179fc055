package worker

import (
	"time"

	"github.com/cenkalti/backoff/v4"

	"revoker/config"
	"revoker/worker/admission"
)

// retryPolicy is the exponential policy. It keeps no state: the number of the attempt comes from the delivery.
type retryPolicy struct {
	initial    time.Duration
	multiplier float64
	max        time.Duration
	jitter     float64
}

func newRetryPolicy(cfg config.Config) retryPolicy {
	return retryPolicy{cfg.RetryInitialInterval, cfg.RetryMultiplier, cfg.RetryMaxInterval, cfg.RetryJitter}
}

// delay is how long to wait after the attempt that failed, counted from 1: (1 ± jitter) × the attempt's interval.
func (p retryPolicy) delay(attempt int) time.Duration {
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(p.initial),
		backoff.WithMultiplier(p.multiplier),
		backoff.WithMaxInterval(p.max),
		backoff.WithRandomizationFactor(p.jitter),
		backoff.WithMaxElapsedTime(0), // for ever; the default would give a negative delay after 15 minutes
	)
	// Once the interval is the largest, or never grows, further steps change nothing.
	interval := float64(p.initial)
	for step := 1; step < attempt && interval < float64(p.max) && p.multiplier > 1; step++ {
		policy.NextBackOff()
		interval *= p.multiplier
	}
	return max(policy.NextBackOff(), admission.MinDelay)
}

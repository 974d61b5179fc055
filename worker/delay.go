package worker

import (
	"time"

	"revoker/config"
	"revoker/worker/admission"
	"revoker/worker/retry"
)

// maxHandBack bounds how many events per second come back that were handed back through no fault of theirs: 60,000 of a
// refused service return within 20 s, and cost a few percent of a core while it goes on being refused.
const maxHandBack = 3000

// retryPolicy is the configured one.
func retryPolicy(cfg config.Config) retry.Policy {
	return retry.Policy{Initial: cfg.RetryInitialInterval, Multiplier: cfg.RetryMultiplier, Max: cfg.RetryMaxInterval, Jitter: cfg.RetryJitter}
}

// newPacers returns that of failed attempts, and that of events which are handed back through no fault of theirs.
func newPacers(cfg config.Config, start time.Time, present func() (slots int, rate float64)) (failed, handBack *retry.Pacer) {
	pace := retry.Pace{
		Slots: cfg.Concurrency, Share: cfg.RetryShare, Rate: cfg.RateLimit, Longest: 2 * cfg.RetryMaxInterval, Present: present, Start: start,
	}
	failed = retry.NewPacer(pace)
	pace.Share, pace.Rate, pace.Calls = 1, maxHandBack, failed
	return failed, retry.NewPacer(pace)
}

// delay is for how long a delivery that is handed back stays away. A failed attempt waits by the policy, and is paced. What
// is not the event's fault waits for the next probe instead, and comes back at the pace of the API: an outage must not cost
// an event its place in the backoff.
func (w *Worker) delay(a *attempt) time.Duration {
	now := time.Now()
	if a.outcome == Deferred {
		return w.handBack.Place(now, max(a.wait, retry.MinDelay))
	}
	if a.letterFailed {
		return w.pacer.Place(now, w.retries.Delay(a.delivery.Deliveries))
	}
	if a.receiptFailed {
		return w.handBack.Place(now, min(w.retries.Delay(a.delivery.Deliveries), maxUnstoredDelay))
	}
	asked := admission.Spread(a.response.RetryAfter)
	_, blame := judge(a.outcome, a.response.Status, a.throttled(), a.event.ServiceID != "", a.panicked)
	switch pause := w.admission.Pause(); {
	case blame == oneService:
		return w.handBack.Place(now, max(w.admission.HoldOf(a.event.ServiceID), asked, retry.MinDelay))
	case pause > 0:
		return w.handBack.Place(now, max(pause, asked))
	}
	return w.pacer.Place(now, max(w.retries.Delay(a.delivery.Deliveries), asked))
}

package admission

import (
	"fmt"
	"time"
)

// braking reports whether so many sessions in a row got CALLER_ERROR that the brake must be considered.
func (b *Breaker) braking() bool { return b.brakeAt > 0 && len(b.rejected) >= b.brakeAt }

// brake is the refusal that CALLER_ERROR for many sessions in a row amounts to.
func (b *Breaker) brake(r Result) Result {
	if !b.braked {
		b.braked = true
		b.reason = brakeReason(len(b.rejected), r.Reason)
	}
	return Result{Verdict: Refusing, Reason: b.reason, Misconfig: true}
}

// Release takes the brake off on an operator's word, until the next OK. It reports whether it was on.
func (b *Breaker) Release(now time.Time) bool {
	if !b.braked {
		return false
	}
	b.released = true
	b.close(now)
	return true
}

// brakeReason is what readiness and log say while the brake is on.
func brakeReason(sessions int, detail string) string {
	return fmt.Sprintf("CALLER_ERROR for %d sessions in a row (%s): the others are held back, since something may be wrong for all of them. "+
		"See whether Native SSO is enabled for the service; `revoker resume` lets the rest go on to the dead letters", sessions, detail)
}

package admission

import "time"

// OpinionCalls is how many sessions an opinion asks about: one alone may fail by itself.
const OpinionCalls = 2

// doubts reports whether so many sessions failed in a row that an opinion is wanted.
func (b *Breaker) doubts(now time.Time) bool {
	n, trusted := len(b.failed), now.Sub(b.opined)
	return !b.asking && n >= b.threshold &&
		(n >= b.threshold<<b.trust || trusted >= trustTime || trusted >= growTime && b.limit.Short())
}

// suspectSessions asks for an opinion on whether the API is at fault for the row of failures. The first time calls wait for
// it: in an outage each further one would be wasted. Not so shortly after a good opinion.
func (b *Breaker) suspectSessions(now time.Time, r Result, calling int) {
	if b.calling, b.reason = calling, r.Reason; b.trust == 0 && now.Sub(b.good) >= trustTime {
		b.suspect(true)
	}
	b.asking = true
}

// suspect begins or ends a suspicion.
func (b *Breaker) suspect(begin bool) {
	if begin {
		b.change(HalfOpen)
	} else {
		b.change(Closed)
		b.trust = 1
		b.reason = ""
	}
	b.suspected = begin
}

// Opinion takes the second opinion into account that was asked for in r's generation.
func (b *Breaker) Opinion(now time.Time, r Result) {
	if r.Generation != b.generation || !b.asking {
		return
	}
	b.asking, b.opined = false, now
	if r.Verdict == Working {
		b.good = now
	}
	braking := b.braking()
	switch {
	case b.state == Closed: // asked while work went on
		b.trusted(now, r)
	case b.suspected && (r.Verdict == Working || r.Verdict == Rejecting && !braking):
		b.suspect(false)
		b.limit.Exonerate(now)
		clear(b.failed)
		clear(b.rejected)
	case b.suspected && braking && (r.Verdict == Rejecting || r.Verdict == SaysNothing):
		b.open(now, b.brake(r), b.calling)
	case b.suspected:
		b.open(now, b.because(r), b.calling)
	case r.Verdict == Working, r.Verdict == Rejecting && !b.braked:
		b.close(now)
	case r.Verdict == Refusing:
		b.open(now, r, b.calling)
	case r.Verdict == SaysNothing: // deliveries must probe
	case b.round <= firstRounds || b.round%laterRounds == 0:
		b.misses = probeFailures - 1 // one delivery probes too
	default:
		b.open(now, r, b.calling)
	}
}

// trusted is opinion while the breaker is closed.
func (b *Breaker) trusted(now time.Time, r Result) {
	switch r.Verdict {
	case Working, Rejecting:
		clear(b.failed)
		clear(b.rejected)
		b.trust, b.distrust = min(b.trust+1, maxTrust), false
		b.limit.Exonerate(now)
	case Failing:
		if !b.distrust { // the opinions so far were good, so a bad one may have met sessions of the block
			b.distrust, b.asking = true, true
			return
		}
		fallthrough
	default:
		b.open(now, b.because(r), b.calling)
	}
}

// because gives an opinion that says nothing the reason of the failures that it was asked for.
func (b *Breaker) because(r Result) Result {
	if r.Verdict == SaysNothing {
		r.Reason = b.reason
	}
	return r
}

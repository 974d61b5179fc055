package worker

import (
	"fmt"
	"math"
	"time"
)

// BreakerState is a circuit breaker's state.
type BreakerState string

// The states of a circuit breaker.
const (
	Closed   BreakerState = "closed"    // calls are made
	Open     BreakerState = "open"      // none are made
	HalfOpen BreakerState = "half-open" // a few calls probe the API
)

const (
	rampStart    = 4                      // slots, right after closing
	rampDoubling = 200 * time.Millisecond // 4, 8, 16, … so that 64 slots are back in 0.8 s, 1,024 in 1.6 s
	maxProbes    = 1 << 16                // more than there are slots
)

// breaker decides whether calls are made. It is a pure state machine: it has no clock, no lock and no goroutine; whoever
// owns it passes the time.
//
// It opens when enough sessions in a row failed, one after the other with no success between, since then the API is at
// fault and not a session; and at once on a refusal that any call would get. Each change of state begins a new generation;
// results of calls that began in an earlier one change nothing, for they say how the API was.
//
// Half-open, one call probes. Where nothing answers it, the breaker opens again. Where the API answers with an error, API or
// session may be at fault. For a session that failed before, two may probe then, then four, so that a crowd of retries
// that are due first can't hold the breaker half-open for long. For new sessions it takes half of what opens a closed
// breaker, since otherwise one failing session in five would make a probe of a sound API fail one time in five.
type breaker struct {
	threshold int
	interval  time.Duration // of the first probe
	maximum   time.Duration

	state      BreakerState
	generation uint64
	reason     string
	misconfig  bool // opened by a Misconfigured result

	failed  map[string]struct{} // closed and half-open: sessions that failed since the last success
	ramping time.Time           // closed: since when the slots are coming back; zero once they are
	since   time.Time           // open and half-open: when it opened first
	until   time.Time           // open: when the next probe is due
	next    time.Duration       // open and half-open: how long to stay open if the probe fails
	probing int                 // half-open: probes that are out
	probes  int                 // half-open: probes that may be
}

func newBreaker(threshold int, interval, maximum time.Duration) *breaker {
	return &breaker{threshold: threshold, interval: interval, maximum: maximum, state: Closed, failed: map[string]struct{}{}}
}

// verdict is what a result says about the API.
type verdict int

const (
	saysNothing verdict = iota // there was no call, or one that is another's matter
	ambiguous                  // the API answered with an error, but the session may be the trouble
	working
	failing
	refusing // any call would be refused, or is asked to wait
)

// result is what one admitted delivery came to.
type result struct {
	generation uint64
	verdict    verdict
	session    string        // tells sessions apart
	answered   bool          // a failure that the API itself answered with
	reason     string        // of a failure, for the log
	misconfig  bool          // the refusal is the operator's to mend
	wait       time.Duration // Retry-After; 0 for none
}

// admit tells how many deliveries may be pulled now, at most free of them while busy are in work. For none, it tells how
// long until asking again makes sense, if nothing is reported before; for ever while the probes are out.
func (b *breaker) admit(now time.Time, free, busy int) (n int, wait time.Duration) {
	if b.state == Open {
		if wait := b.until.Sub(now); wait > 0 {
			return 0, wait
		}
		b.change(HalfOpen)
	}
	if b.state == HalfOpen {
		n := max(min(free, b.probes-b.probing), 0)
		b.probing += n
		return n, math.MaxInt64
	}
	if b.ramping.IsZero() {
		return free, math.MaxInt64
	}
	allowed := rampStart << min(now.Sub(b.ramping)/rampDoubling, 20)
	if allowed >= free+busy {
		b.ramping = time.Time{}
		return free, math.MaxInt64
	}
	return min(free, max(allowed-busy, 0)), rampDoubling
}

// enter lets a delivery that was admitted in generation begin its call, while calling others are being made, and returns the
// generation in which it begins. One that was pulled before a change is treated as if it were pulled now, so that it may
// well be the probe; where it is not to begin, pause tells how long it should stay away.
func (b *breaker) enter(now time.Time, generation uint64, calling, total int) (begins uint64, pause time.Duration) {
	if generation == b.generation {
		return generation, 0
	}
	n, wait := b.admit(now, total-calling, calling)
	switch {
	case n > 0:
		b.unused(b.generation, n-1) // it is one
		return b.generation, 0
	case b.state == HalfOpen:
		wait = b.next
	}
	return generation, max(wait, minDelay)
}

// unused takes back that n were admitted: no events came. It stays half-open.
func (b *breaker) unused(generation uint64, n int) {
	if generation == b.generation && b.state == HalfOpen {
		b.probing -= n
	}
}

// report takes a result into account.
func (b *breaker) report(now time.Time, r result) {
	if r.generation != b.generation {
		return
	}
	probe := b.state == HalfOpen
	if probe {
		b.probing--
	}
	switch r.verdict {
	case ambiguous:
		if probe {
			b.probes = min(2*b.probes, maxProbes)
		}
	case working:
		clear(b.failed)
		if probe {
			b.change(Closed)
			b.ramping, b.reason, b.misconfig, b.next = now, "", false, 0
		}
	case failing:
		if b.failed[r.session] = struct{}{}; len(b.failed) >= b.limit(r.answered) {
			b.open(now, r)
		}
	case refusing:
		b.open(now, r)
	}
}

// limit is how many sessions must have failed in a row.
func (b *breaker) limit(answered bool) int {
	switch {
	case b.state == Closed:
		return b.threshold
	case answered:
		return (b.threshold + 1) / 2
	}
	return 1
}

// open opens the breaker until the next probe: after the first interval, and where a probe failed, after half of the time
// that the outage has lasted, so that probes are as rare as they can be without making an outage much longer than it is.
// And no sooner than a Retry-After allows.
func (b *breaker) open(now time.Time, r result) {
	if b.state == Closed {
		b.since = now
	}
	b.next = max(b.interval, min(now.Sub(b.since)/2, b.maximum))
	b.reason, b.misconfig = r.reason, r.misconfig
	b.until = now.Add(max(b.next, r.wait))
	clear(b.failed)
	b.change(Open)
}

func (b *breaker) change(to BreakerState) {
	b.state, b.probing, b.probes = to, 0, 1
	b.generation++
}

// ready reports whether failures can be blamed on a single event: calls are made freely.
func (b *breaker) ready() bool { return b.state == Closed }

func (b *breaker) String() string {
	if b.state == Closed {
		return string(b.state)
	}
	return fmt.Sprintf("%s: %s", b.state, b.reason)
}

package admission

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// step passes time, then tells a breaker something.
type step struct {
	after time.Duration
	do    func(b *Breaker, now time.Time)
	state State
	free  int // what Admit gives then
}

// full is a limit that is at its bound.
func full(bound int) *Limit {
	l := NewLimit(bound)
	l.set(float64(bound), ByBound)
	return l
}

// free is how many deliveries are free while none is in work.
func free(b *Breaker, now time.Time) int {
	n, _ := b.limit.Now(now)
	return n
}

// The table is the breaker's documentation: 3 failures make it ask for an opinion; open, it probes after 1 s, then rarer and
// rarer, at last every 5 s. 4 CALLER_ERRORs put the brake on.
func TestBreaker(t *testing.T) {
	t.Parallel()
	report := func(v Verdict, session string) func(*Breaker, time.Time) {
		return func(b *Breaker, now time.Time) {
			b.Report(now, Result{Generation: b.generation, Verdict: v, Session: session, Reason: "why"}, 64)
		}
	}
	opinion := func(v Verdict) func(*Breaker, time.Time) {
		return func(b *Breaker, now time.Time) {
			b.Opinion(now, Result{Generation: b.generation, Verdict: v, Reason: "why"})
		}
	}
	asked := func(wait time.Duration) func(*Breaker, time.Time) {
		return func(b *Breaker, now time.Time) {
			b.Report(now, Result{Generation: b.generation, Verdict: Refusing, Reason: "429", Wait: wait}, 64)
		}
	}
	stale := func(v Verdict) func(*Breaker, time.Time) {
		return func(b *Breaker, now time.Time) {
			b.Report(now, Result{Generation: b.generation - 1, Verdict: v, Session: "stale"}, 64)
		}
	}
	staleOpinion := func(v Verdict) func(*Breaker, time.Time) {
		return func(b *Breaker, now time.Time) {
			b.Opinion(now, Result{Generation: b.generation - 1, Verdict: v})
		}
	}
	several := func(v Verdict, first, n int) func(*Breaker, time.Time) {
		return func(b *Breaker, now time.Time) {
			for i := range n {
				report(v, fmt.Sprint(first+i))(b, now)
			}
		}
	}
	unused := func(b *Breaker, _ time.Time) { b.Unused(b.generation, 1) }
	release := func(b *Breaker, now time.Time) { b.Release(now) }
	nothing := func(*Breaker, time.Time) {}
	const s = time.Second
	for name, steps := range map[string][]step{
		"different sessions in a row make it ask, and wait": {
			{0, report(Failing, "a"), Closed, 64}, {0, report(Failing, "b"), Closed, 64}, {0, report(Failing, "c"), HalfOpen, 0},
		},
		"a bad opinion opens it": {
			{0, several(Failing, 0, 3), HalfOpen, 0}, {0, opinion(Failing), Open, 0},
		},
		"no opinion opens it too": {
			{0, several(Failing, 0, 3), HalfOpen, 0}, {0, opinion(SaysNothing), Open, 0},
		},
		"a good opinion means that the sessions are at fault, and costs no slot": {
			{0, several(Failing, 0, 3), HalfOpen, 0}, {0, opinion(Working), Closed, 64},
		},
		"a call that was in flight and succeeds says nothing, for it began before the failures": {
			{0, several(Failing, 0, 3), HalfOpen, 0}, {0, stale(Working), HalfOpen, 0},
		},
		"in a block of failing sessions it asks less and less often, and goes on meanwhile": {
			{0, several(Failing, 0, 3), HalfOpen, 0}, {0, opinion(Working), Closed, 64},
			{0, several(Failing, 10, 5), Closed, 64}, {0, opinion(Failing), Closed, 64}, // it did not ask yet
			{0, report(Failing, "sixth"), Closed, 64}, {0, opinion(Working), Closed, 64},
			{0, several(Failing, 20, 12), Closed, 64}, {0, opinion(Failing), Closed, 64}, {0, opinion(Failing), Open, 0}, // it asked again at once
		},
		"a success makes it watchful again, but so soon after a good opinion calls do not wait": {
			{0, several(Failing, 0, 3), HalfOpen, 0}, {0, opinion(Working), Closed, 64}, {0, report(Working, "x"), Closed, 64},
			{0, several(Failing, 0, 3), Closed, 64}, {0, opinion(Failing), Closed, 64}, {0, opinion(Failing), Open, 0},
		},
		"later they wait again": {
			{0, several(Failing, 0, 3), HalfOpen, 0}, {0, opinion(Working), Closed, 64}, {5 * s, report(Working, "x"), Closed, 64},
			{0, several(Failing, 0, 3), HalfOpen, 0},
		},
		"one session alone never does": {
			{0, report(Failing, "a"), Closed, 64}, {0, report(Failing, "a"), Closed, 64}, {0, report(Failing, "a"), Closed, 64}, {0, report(Failing, "a"), Closed, 64},
		},
		"a success between starts the row anew": {
			{0, report(Failing, "a"), Closed, 64}, {0, report(Failing, "b"), Closed, 64}, {0, report(Working, ""), Closed, 64},
			{0, report(Failing, "c"), Closed, 64}, {0, report(Failing, "d"), Closed, 64}, {0, report(Failing, "e"), HalfOpen, 0},
		},
		"so does a CALLER_ERROR, for the API works": {
			{0, several(Failing, 0, 2), Closed, 64}, {0, report(Rejecting, "x"), Closed, 64}, {0, several(Failing, 10, 2), Closed, 64},
		},
		"what says nothing neither opens it nor breaks the row": {
			{0, report(Failing, "a"), Closed, 64}, {0, report(Failing, "b"), Closed, 64}, {0, report(SaysNothing, "x"), Closed, 64},
			{0, report(Failing, "c"), HalfOpen, 0},
		},
		"a refusal opens it at once": {{0, report(Refusing, "a"), Open, 0}},
		"it probes by an opinion first, and not before the interval": {
			{0, report(Refusing, "a"), Open, 0}, {s - 1, nothing, Open, 0}, {1, nothing, Open, 0}, {0, nothing, HalfOpen, 0}, {9 * s, opinion(Working), Closed, 4},
		},
		"after a bad opinion one delivery must fail too": {
			{0, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0}, {0, opinion(Failing), HalfOpen, 1}, {0, report(Failing, "a"), Open, 0},
		},
		"after none two deliveries must": {
			{0, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0}, {0, opinion(SaysNothing), HalfOpen, 1}, {0, report(Failing, "a"), HalfOpen, 1},
			{0, report(Failing, "b"), Open, 0},
		},
		"one of them that succeeds closes it": {
			{0, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0}, {0, opinion(Failing), HalfOpen, 1}, {0, report(Working, "a"), Closed, 4},
		},
		"a probe that found no event is followed by the next at once": {
			{0, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0}, {0, opinion(SaysNothing), HalfOpen, 1}, {0, unused, HalfOpen, 1}, {0, nothing, HalfOpen, 0},
		},
		"so is one that says nothing, some times": {
			{0, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0}, {0, opinion(SaysNothing), HalfOpen, 1},
			{0, several(SaysNothing, 0, 7), HalfOpen, 1}, {0, report(SaysNothing, "x"), Open, 0},
		},
		"the longer it lasts, the rarer the probes, up to the largest interval": {
			{0, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0},
			{0, opinion(Refusing), Open, 0}, {s - 1, nothing, Open, 0}, {1, nothing, Open, 0}, // at 2 s
			{0, opinion(Refusing), Open, 0}, {s - 1, nothing, Open, 0}, {1, nothing, Open, 0}, // 3 s
			{0, opinion(Refusing), Open, 0}, {3*s/2 - 1, nothing, Open, 0}, {1, nothing, Open, 0}, // 4.5 s
			{4 * s, opinion(Refusing), Open, 0}, {17*s/4 - 1, nothing, Open, 0}, {1, nothing, Open, 0}, // 12.75 s, of a slow one
			{0, opinion(Refusing), Open, 0}, {5*s - 1, nothing, Open, 0}, {1, nothing, Open, 0},
			{0, opinion(Refusing), Open, 0}, {5*s - 1, nothing, Open, 0}, {1, nothing, Open, 0},
		},
		"a longer Retry-After extends it by up to a fifth more, a shorter one does not cut it": {
			{0, asked(30 * s), Open, 0}, {30*s - 1, opinion(Working), Open, 0}, {6*s + 1, nothing, Open, 0}, {0, opinion(SaysNothing), HalfOpen, 1},
			{0, asked(time.Millisecond), Open, 0}, {5*s - 1, opinion(Working), Open, 0}, {1, nothing, Open, 0}, {0, opinion(Working), Closed, 4},
		},
		"the longest Retry-After still lets it probe every five minutes": {
			{0, asked(time.Hour), Open, 0}, {300*s - 1, opinion(Working), Open, 0}, {60*s + 1, nothing, Open, 0}, {0, opinion(Working), Closed, 4},
		},
		"a success closes it and brings half of the slots back within a second": {
			{0, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0}, {0, opinion(Working), Closed, 4},
			{200 * time.Millisecond, nothing, Closed, 8}, {200 * time.Millisecond, nothing, Closed, 16},
			{200 * time.Millisecond, nothing, Closed, 32}, {200 * time.Millisecond, nothing, Closed, 32},
		},
		"after closing for a while, the first interval holds again": {
			{0, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0}, {0, opinion(Refusing), Open, 0}, {2 * s, nothing, Open, 0},
			{0, opinion(Working), Closed, 4}, {11 * s, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0}, {0, opinion(Working), Closed, 4},
		},
		"soon after, it is still the same outage": {
			{0, report(Refusing, "a"), Open, 0}, {8 * s, nothing, Open, 0}, {0, opinion(Working), Closed, 4},
			{s, report(Refusing, "a"), Open, 0}, {9*s/2 - 1, opinion(Working), Open, 0}, {1, nothing, Open, 0}, {0, opinion(Working), Closed, 4},
		},
		"results of calls from before a change mean nothing": {
			{0, report(Refusing, "a"), Open, 0}, {0, stale(Working), Open, 0}, {0, stale(Refusing), Open, 0}, {s, nothing, Open, 0},
			{0, stale(Working), HalfOpen, 0}, {0, staleOpinion(Working), HalfOpen, 0}, {0, stale(Failing), HalfOpen, 0},
			{0, opinion(Working), Closed, 4}, {0, stale(Refusing), Closed, 4},
		},
		"CALLER_ERROR for many sessions in a row puts the brake on, if the opinion agrees": {
			{0, several(Rejecting, 0, 3), Closed, 64}, {0, report(Rejecting, "0"), Closed, 64}, {0, report(Rejecting, "d"), HalfOpen, 0}, {0, opinion(Rejecting), Open, 0},
			{s, nothing, Open, 0}, {0, opinion(Rejecting), HalfOpen, 1}, {0, report(Rejecting, "e"), Open, 0},
			{s, nothing, Open, 0}, {0, opinion(Working), Closed, 4},
		},
		"an OK between keeps it off": {
			{0, several(Rejecting, 0, 3), Closed, 64}, {0, report(Working, "x"), Closed, 64}, {0, several(Rejecting, 10, 3), Closed, 64},
		},
		"so does a good opinion": {
			{0, several(Rejecting, 0, 4), HalfOpen, 0}, {0, opinion(Working), Closed, 64}, {0, several(Rejecting, 10, 3), Closed, 64},
		},
		"an operator takes it off, until the next OK": {
			{0, several(Rejecting, 0, 4), HalfOpen, 0}, {0, opinion(Rejecting), Open, 0}, {0, release, Closed, 4},
			{9 * s, several(Rejecting, 10, 10_000), Closed, 32}, {0, report(Working, "x"), Closed, 32}, {0, several(Rejecting, 0, 4), HalfOpen, 0},
		},
		"CALLER_ERROR closes it after an outage": {
			{0, report(Refusing, "a"), Open, 0}, {s, nothing, Open, 0}, {0, opinion(SaysNothing), HalfOpen, 1}, {0, report(Rejecting, "a"), Closed, 4},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, now := NewBreaker(3, 4, full(64), s, 5*s), time.Unix(1_700_000_000, 0)
			for i, step := range steps {
				now = now.Add(step.after)
				step.do(b, now)
				if b.state != step.state {
					t.Fatalf("step %d: %s, want %s", i, b.state, step.state)
				}
				if n, _ := b.Admit(now, free(b, now)); n != step.free {
					t.Fatalf("step %d: admits %d, want %d", i, n, step.free)
				}
			}
		})
	}
}

// An API that breaks down under load gets half of the calls after each opening, down to a few.
func TestEachOpeningHalvesTheCallsInFlight(t *testing.T) {
	t.Parallel()
	b, now := NewBreaker(3, 0, full(64), time.Second, 5*time.Second), time.Unix(1_700_000_000, 0)
	for _, want := range []int{32, 16, 8, 4, 4} {
		b.Report(now, Result{Generation: b.generation, Verdict: Refusing}, 64)
		now = now.Add(5 * time.Second)
		b.Admit(now, 64)
		b.Opinion(now, Result{Generation: b.generation, Verdict: Working})
		now = now.Add(5 * time.Second)
		if n, _ := b.Admit(now, free(b, now)); n != want {
			t.Errorf("admits %d, want %d", n, want)
		}
	}
}

func TestBreakerTellsHowLongItStaysOpen(t *testing.T) {
	t.Parallel()
	b, now := NewBreaker(3, 0, full(64), time.Second, 5*time.Second), time.Unix(1_700_000_000, 0)
	for i := range 3 {
		b.Report(now, Result{Verdict: Failing, Session: fmt.Sprint(i), Reason: "connection refused"}, 64)
	}
	b.Opinion(now, Result{Generation: b.generation, Verdict: SaysNothing})
	if _, wait := b.Admit(now.Add(300*time.Millisecond), 64); wait != 700*time.Millisecond {
		t.Errorf("wait %s", wait)
	}
	if b.reason != "connection refused" {
		t.Errorf("reason %q", b.reason)
	}
}

// Readiness fails while the brake is on, and names the way out.
func TestTheBrakeNamesTheWayOut(t *testing.T) {
	t.Parallel()
	b, now := NewBreaker(3, 4, full(64), time.Second, 5*time.Second), time.Unix(1_700_000_000, 0)
	for i := range 4 {
		b.Report(now, Result{Generation: b.generation, Verdict: Rejecting, Session: fmt.Sprint(i), Reason: "A503201"}, 64)
	}
	b.Opinion(now, Result{Generation: b.generation, Verdict: Rejecting, Reason: "A503201"})
	if !b.braked || !b.misconfig || !strings.Contains(b.reason, "revoker resume") || !strings.Contains(b.reason, "A503201") {
		t.Errorf("braked %v, misconfigured %v: %s", b.braked, b.misconfig, b.reason)
	}
}

// What a pull from before a change brings is treated as if it were pulled now.
func TestBreakerHandsBackWhatComesLate(t *testing.T) {
	t.Parallel()
	b, now := NewBreaker(3, 0, full(64), time.Second, 5*time.Second), time.Unix(1_700_000_000, 0)
	pulled := b.generation
	if _, pause := b.Enter(now, pulled); pause != 0 {
		t.Errorf("while nothing has changed: pause %s", pause)
	}
	b.Report(now, Result{Verdict: Refusing}, 64)
	if _, pause := b.Enter(now.Add(200*time.Millisecond), pulled); pause != 800*time.Millisecond {
		t.Errorf("while it is open: pause %s, want what is left", pause)
	}
	now = now.Add(time.Second)
	if _, pause := b.Enter(now, pulled); pause != time.Second || b.state != HalfOpen {
		t.Errorf("while an opinion is asked for: pause %s in state %s", pause, b.state)
	}
	b.Opinion(now, Result{Generation: b.generation, Verdict: SaysNothing})
	probe, pause := b.Enter(now, pulled)
	if pause != 0 || probe != b.generation {
		t.Fatalf("when a probe is due: pause %s in state %s", pause, b.state)
	}
	if _, pause := b.Enter(now, pulled); pause != time.Second {
		t.Errorf("while the probe is out: pause %s", pause)
	}
	b.Report(now, Result{Generation: probe, Verdict: Working}, 1)
	if _, pause := b.Enter(now, pulled); pause != 0 {
		t.Errorf("once it is closed: pause %s", pause)
	}
}

package worker

import (
	"fmt"
	"testing"
	"time"
)

// script drives a breaker: each step passes time, then asks or tells it something.
type step struct {
	after time.Duration
	do    func(b *breaker, now time.Time)
	state BreakerState
	free  int // what admit(64 free, 0 busy) gives then; -1 to not ask, since asking takes the probe
}

// The table is the breaker's documentation: 3 failures open it; it probes after 1 s, then rarer and rarer, at the end every 5 s.
func TestBreaker(t *testing.T) {
	t.Parallel()
	report := func(v verdict, session string) func(*breaker, time.Time) {
		return func(b *breaker, now time.Time) {
			b.report(now, result{generation: b.generation, verdict: v, session: session, reason: "why"})
		}
	}
	answered := func(session string) func(*breaker, time.Time) {
		return func(b *breaker, now time.Time) {
			b.report(now, result{generation: b.generation, verdict: failing, answered: true, session: session, reason: "SERVER_ERROR"})
		}
	}
	asked := func(wait time.Duration) func(*breaker, time.Time) {
		return func(b *breaker, now time.Time) {
			b.report(now, result{generation: b.generation, verdict: refusing, reason: "429", wait: wait})
		}
	}
	stale := func(v verdict) func(*breaker, time.Time) {
		return func(b *breaker, now time.Time) {
			b.report(now, result{generation: b.generation - 1, verdict: v, session: "stale"})
		}
	}
	unused := func(b *breaker, _ time.Time) { b.unused(b.generation, 1) }
	nothing := func(*breaker, time.Time) {}
	const s = time.Second
	for name, steps := range map[string][]step{
		"different sessions in a row open it": {
			{0, report(failing, "a"), Closed, 64}, {0, report(failing, "b"), Closed, 64}, {0, report(failing, "c"), Open, 0},
		},
		"one session alone never does": {
			{0, report(failing, "a"), Closed, 64}, {0, report(failing, "a"), Closed, 64}, {0, report(failing, "a"), Closed, 64}, {0, report(failing, "a"), Closed, 64},
		},
		"a success between starts the row anew": {
			{0, report(failing, "a"), Closed, 64}, {0, report(failing, "b"), Closed, 64}, {0, report(working, ""), Closed, 64},
			{0, report(failing, "c"), Closed, 64}, {0, report(failing, "d"), Closed, 64}, {0, report(failing, "e"), Open, 0},
		},
		"what says nothing neither opens it nor breaks the row": {
			{0, report(failing, "a"), Closed, 64}, {0, report(failing, "b"), Closed, 64}, {0, report(saysNothing, "x"), Closed, 64},
			{0, report(ambiguous, "y"), Closed, 64}, {0, report(failing, "c"), Open, 0},
		},
		"a refusal opens it at once": {{0, report(refusing, "a"), Open, 0}},
		"it probes once, and not before the interval": {
			{0, report(refusing, "a"), Open, 0}, {s - 1, nothing, Open, 0}, {1, nothing, Open, 1}, {9 * s, nothing, HalfOpen, 0},
		},
		"a probe that found no event is followed by the next at once": {
			{0, report(refusing, "a"), Open, 0}, {s, nothing, Open, 1}, {0, unused, HalfOpen, 1}, {0, nothing, HalfOpen, 0},
		},
		"and so is one that says nothing": {
			{0, report(refusing, "a"), Open, 0}, {s, nothing, Open, 1}, {0, report(saysNothing, "x"), HalfOpen, 1},
		},
		"one that leaves it open who is at fault lets two probe, then four": {
			{0, report(refusing, "a"), Open, 0}, {s, nothing, Open, 1}, {0, report(ambiguous, "x"), HalfOpen, 2},
			{0, report(ambiguous, "y"), HalfOpen, 3}, {0, report(saysNothing, "z"), HalfOpen, 1}, {0, report(working, "a"), Closed, 4},
		},
		"new sessions that the API itself answers with an error open it again when they are two": {
			{0, report(refusing, "a"), Open, 0}, {s, nothing, Open, 1}, {0, answered("a"), HalfOpen, 1}, {0, answered("a"), HalfOpen, 1},
			{0, answered("b"), Open, 0}, {2 * s, nothing, Open, 1}, {0, answered("c"), HalfOpen, 1}, {0, report(working, "d"), Closed, 4},
		},
		"with the next opening it is one again": {
			{0, report(refusing, "a"), Open, 0}, {s, nothing, Open, 1}, {0, report(ambiguous, "x"), HalfOpen, 2},
			{0, report(failing, "y"), Open, 0}, {2 * s, nothing, Open, 1},
		},
		"the longer it lasts, the rarer the probes, up to the largest interval": {
			{0, report(refusing, "a"), Open, 0}, {s, nothing, Open, 1},
			{0, report(failing, "a"), Open, 0}, {s - 1, nothing, Open, 0}, {1, nothing, Open, 1}, // at 2 s
			{0, report(refusing, "a"), Open, 0}, {s - 1, nothing, Open, 0}, {1, nothing, Open, 1}, // 3 s
			{0, report(failing, "a"), Open, 0}, {3*s/2 - 1, nothing, Open, 0}, {1, nothing, Open, 1}, // 4.5 s
			{4 * s, report(failing, "a"), Open, 0}, {17*s/4 - 1, nothing, Open, 0}, {1, nothing, Open, 1}, // 12.75 s, of a slow one
			{0, report(failing, "a"), Open, 0}, {5*s - 1, nothing, Open, 0}, {1, nothing, Open, 1},
			{0, report(failing, "a"), Open, 0}, {5*s - 1, nothing, Open, 0}, {1, nothing, Open, 1},
		},
		"a longer Retry-After extends it, a shorter one does not cut it": {
			{0, asked(30 * s), Open, 0}, {30*s - 1, nothing, Open, 0}, {1, nothing, Open, 1},
			{0, asked(time.Millisecond), Open, 0}, {5*s - 1, nothing, Open, 0}, {1, nothing, Open, 1},
		},
		"a success closes it and brings the slots back within a second": {
			{0, report(refusing, "a"), Open, 0}, {s, nothing, Open, 1}, {0, report(working, "a"), Closed, 4},
			{200 * time.Millisecond, nothing, Closed, 8}, {200 * time.Millisecond, nothing, Closed, 16},
			{200 * time.Millisecond, nothing, Closed, 32}, {200 * time.Millisecond, nothing, Closed, 64},
		},
		"after closing, the first interval holds again": {
			{0, report(refusing, "a"), Open, 0}, {s, nothing, Open, 1}, {0, report(failing, "a"), Open, 0}, {2 * s, nothing, Open, 1},
			{0, report(working, "a"), Closed, 4}, {0, report(refusing, "a"), Open, 0}, {s, nothing, Open, 1},
		},
		"results of calls from before a change mean nothing": {
			{0, report(refusing, "a"), Open, 0}, {0, stale(working), Open, 0}, {0, stale(refusing), Open, 0}, {s, nothing, Open, 1},
			{0, stale(working), HalfOpen, 0}, {0, stale(failing), HalfOpen, 0}, {0, report(working, "a"), Closed, 4}, {0, stale(refusing), Closed, 4},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, now := newBreaker(3, s, 5*s), time.Unix(1_700_000_000, 0)
			for i, step := range steps {
				now = now.Add(step.after)
				step.do(b, now)
				if b.state != step.state {
					t.Fatalf("step %d: %s, want %s", i, b.state, step.state)
				}
				if n, _ := b.admit(now, 64, 0); n != step.free {
					t.Fatalf("step %d: admits %d, want %d", i, n, step.free)
				}
			}
		})
	}
}

func TestBreakerCountsSlotsInUseWhileItRamps(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(3, time.Second, 5*time.Second), time.Unix(1_700_000_000, 0)
	b.report(now, result{verdict: refusing})
	now = now.Add(time.Second)
	b.admit(now, 64, 0)
	b.report(now, result{generation: b.generation, verdict: working})
	for _, c := range []struct{ busy, want int }{{0, 4}, {3, 1}, {4, 0}, {60, 0}} {
		if n, wait := b.admit(now, 64-c.busy, c.busy); n != c.want || n == 0 && wait > time.Second {
			t.Errorf("%d busy: admits %d, want %d; wait %s", c.busy, n, c.want, wait)
		}
	}
}

func TestBreakerTellsHowLongItStaysOpen(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(3, time.Second, 5*time.Second), time.Unix(1_700_000_000, 0)
	for i := range 3 {
		b.report(now, result{verdict: failing, session: fmt.Sprint(i), reason: "connection refused"})
	}
	if _, wait := b.admit(now.Add(300*time.Millisecond), 64, 0); wait != 700*time.Millisecond {
		t.Errorf("wait %s", wait)
	}
	if b.reason != "connection refused" {
		t.Errorf("reason %q", b.reason)
	}
}

// What a pull from before a change brings is treated as if it were pulled now.
func TestBreakerHandsBackWhatComesLate(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(3, time.Second, 5*time.Second), time.Unix(1_700_000_000, 0)
	pulled := b.generation
	if _, pause := b.enter(now, pulled, 63, 64); pause != 0 {
		t.Errorf("while nothing has changed: pause %s", pause)
	}
	b.report(now, result{verdict: refusing, wait: 3 * time.Second})
	if _, pause := b.enter(now.Add(time.Second), pulled, 0, 64); pause != 2*time.Second {
		t.Errorf("while it is open: pause %s, want what is left", pause)
	}
	now = now.Add(3 * time.Second)
	probe, pause := b.enter(now, pulled, 0, 64)
	if pause != 0 || b.state != HalfOpen || probe != b.generation {
		t.Fatalf("when a probe is due: pause %s in state %s", pause, b.state)
	}
	if _, pause := b.enter(now, pulled, 1, 64); pause != time.Second {
		t.Errorf("while the probe is out: pause %s", pause)
	}
	b.report(now, result{generation: probe, verdict: working})
	for calling, want := range map[int]bool{0: true, 3: true, 4: false, 63: false} {
		if _, pause := b.enter(now, pulled, calling, 64); (pause == 0) != want {
			t.Errorf("right after closing, with %d calls: pause %s", calling, pause)
		}
	}
}

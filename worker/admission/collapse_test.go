package admission

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A rate that fell to nearly nothing is tried again soon, though the calls that it allows are far apart: the next one would come
// seconds later, and mostly not in the moment in which rates are tried.
func TestARateThatFellToNothingRises(t *testing.T) {
	t.Parallel()
	for _, begins := range []time.Duration{0, 1500 * time.Millisecond, 3 * time.Second, 4900 * time.Millisecond} { // within a round
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(begins)
			a := quiet(16, 0)
			a.rate.become(steady, time.Now(), leastRate)
			a.tokens.at = time.Now()
			ctx, end := context.WithTimeout(t.Context(), 10*time.Second)
			defer end()
			a.End(Bulk)
			arrive(t, a, Live, 1)
			go pullAll(ctx, a)
			wait := work(a, 16, time.Millisecond)
			<-ctx.Done()
			if _, rate := a.Present(); rate < 100 {
				t.Errorf("begun %s after a round: %.1f calls a second after 10 s", begins, rate)
			}
			a.Drain()
			wait()
		})
	}
}

// pullAll is a server that has all that is asked for, at once.
func pullAll(ctx context.Context, a *Admission) {
	defer a.End(Live)
	for {
		grant := a.Admit(ctx, Live)
		if grant.N == 0 {
			return
		}
		for range grant.N {
			a.Arrived(Live, true)
		}
		a.Returned(Live, 0, grant.Generation)
	}
}

// A refusal while few events come is not taken for the rate that was accepted.
func TestARefusalWhileLittleIsAskedForTeachesLittle(t *testing.T) {
	t.Parallel()
	for _, p := range []phase{climbing, settling, steady} {
		r, now := NewRate(), time.Unix(1_800_000_000, 0)
		r.become(p, now, 500)
		r.Accepted(now)
		now = now.Add(700 * time.Millisecond)
		r.Refused(now, time.Second)
		if r.Learned() < 300 {
			t.Errorf("phase %d: %.1f calls a second after one refusal, from 500", p, r.Learned())
		}
	}
}

package admission

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// An outage is told with its beginning and the next probe, through all its probes, and not before or after.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := full(4)
		a := New(limit, 0, NewBreaker(1, 0, limit, time.Second, 4*time.Second), [2]Heartbeat{still{}, still{}}, slog.New(slog.DiscardHandler))
		told := func(since, next time.Duration) {
			t.Helper()
			began := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where a bubble begins
			s, n := a.Outage()
			for _, c := range []struct {
				got  *time.Time
				want time.Duration
			}{{s, since}, {n, next}} {
				if (c.got == nil) != (c.want < 0) || c.got != nil && c.got.Sub(began) != c.want {
					t.Errorf("since %v, next %v; want %v and %v", s, n, since, next)
				}
			}
		}
		refusal := func() { a.Report(Result{Generation: a.breaker.generation, Verdict: Refusing, Reason: "HTTP 503"}) }
		told(-1, -1)
		time.Sleep(10 * time.Second)
		a.Report(Result{Verdict: Failing, Session: "one"}) // only an opinion is asked for
		if state, _ := a.State(); state != HalfOpen {
			t.Fatalf("%s, want half-open", state)
		}
		told(-1, -1)
		a.Opinion(Result{Generation: a.breaker.generation, Verdict: Failing})
		told(10*time.Second, 11*time.Second)
		time.Sleep(2 * time.Second)
		a.breaker.Admit(time.Now(), 4) // the probe is due
		told(10*time.Second, -1)
		refusal()
		told(10*time.Second, 13*time.Second)
		time.Sleep(2 * time.Second)
		a.breaker.Admit(time.Now(), 4)
		a.Opinion(Result{Generation: a.breaker.generation, Verdict: Working})
		told(-1, -1)
	})
}

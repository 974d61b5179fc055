package worker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

func quietAdmission(slots int, limit float64) *admission {
	return newAdmission(slots, limit, newBreaker(20, 100, slots, time.Second, 5*time.Second), slog.New(slog.DiscardHandler))
}

func TestAdmissionAdmitsTheFreeSlots(t *testing.T) {
	t.Parallel()
	v := quietAdmission(4, 0)
	if n, _ := v.admit(t.Context()); n != 4 {
		t.Fatalf("admits %d, want all 4", n)
	}
	admitted := make(chan int)
	go func() {
		n, _ := v.admit(t.Context())
		admitted <- n
	}()
	v.release(1)
	if n := <-admitted; n != 1 {
		t.Errorf("admits %d, want the one that was freed", n)
	}
}

func TestAdmissionGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]*admission{"no slot": quietAdmission(1, 0), "no token": quietAdmission(2, 0.001)} {
		v.admit(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if n, _ := v.admit(ctx); n != 0 {
			t.Errorf("%s: admits %d", name, n)
		}
	}
}

// Slots come back whatever happens: none leaks by a pull without events, or a token that did not come.
func TestAdmissionLosesNoSlot(t *testing.T) {
	t.Parallel()
	v := quietAdmission(8, 1e6)
	var working sync.WaitGroup
	for range 200 {
		n, generation := v.admit(t.Context())
		used := n / 2
		v.returned(n-used, generation)
		for range used {
			working.Go(func() { v.release(1) })
		}
	}
	working.Wait()
	if v.busy != 0 {
		t.Errorf("%d slots are lost", v.busy)
	}
}

func TestTokensThatWereNotUsedAreKept(t *testing.T) {
	t.Parallel()
	tokens := newTokens(100, 64) // burst 10
	if got := tokens.take(t.Context(), 64); got != 10 {
		t.Fatalf("took %d, want a burst of 10", got)
	}
	tokens.giveBack(10)
	tokens.giveBack(10) // and no more than a burst
	if got := tokens.take(t.Context(), 7); got != 7 {
		t.Errorf("took %d, want 7 of the kept ones", got)
	}
	if tokens.held != 3 {
		t.Errorf("%d are held, want 3", tokens.held)
	}
}

// A panic is one failed attempt. The API client is missing here, which no configuration can bring about.
func TestAPanicIsOneFailedAttempt(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	w := &Worker{log: slog.New(slog.NewTextHandler(&text, nil)), admission: quietAdmission(1, 0), pacer: newPacer(1, 1, 0, time.Minute)}
	a := &attempt{delivery: deliveryOf(t, `{"sessionId":"SECRET-session"}`)}
	w.attempt(t.Context(), nil, a)
	if a.outcome != Retry || w.admission.calling != 0 {
		t.Errorf("outcome %s, %d calls", a.outcome, w.admission.calling)
	}
	for range 20 * 20 {
		w.learn(a)
	}
	if state := w.admission.breaker.state; state != Closed {
		t.Errorf("the breaker is %s", state)
	}
	if !strings.Contains(text.String(), "process.go") || strings.Contains(text.String(), "SECRET") {
		t.Errorf("the log:\n%s", text.String())
	}
}

func TestFailuresAreWrittenOnceWithTheirCount(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	f := newFailureLog(slog.New(slog.NewTextHandler(&text, nil)))
	for range 1000 {
		f.count("the same")
	}
	f.count("another")
	if n := strings.Count(text.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, text.String())
	}
	f.kinds["the same"].written = time.Now().Add(-failureInterval)
	f.count("the same")
	if !strings.Contains(text.String(), "times=1000") {
		t.Errorf("no count:\n%s", text.String())
	}
	for i := range 10 * maxFailureKinds {
		f.count(strings.Repeat("x", i))
	}
	if len(f.kinds) > maxFailureKinds {
		t.Errorf("%d kinds are kept", len(f.kinds))
	}
}

func TestPrefetchIsAFewMilliseconds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		roundTrip, call time.Duration
		limit           float64
		want            int
	}{
		{time.Millisecond, 100 * time.Millisecond, 0, 3},  // 64 slots finish 3.8 calls within 6 ms
		{time.Millisecond, 10 * time.Second, 0, 0},        // an event in hand would wait for seconds
		{10 * time.Millisecond, time.Millisecond, 0, 64},  // as many as there are slots at the most
		{10 * time.Millisecond, time.Millisecond, 100, 0}, // the slots wait for the rate limit anyway
		{time.Millisecond, 0, 0, 0},                       // no call was made yet
	} {
		v := quietAdmission(64, c.limit)
		v.prefetch(c.roundTrip, c.call)
		if v.ahead != c.want {
			t.Errorf("round trip %s, call %s: %d ahead, want %d", c.roundTrip, c.call, v.ahead, c.want)
		}
	}
	v := quietAdmission(64, 0)
	v.prefetch(10*time.Millisecond, time.Millisecond)
	for busy, want := range map[int]int{0: 128, 64: 64, 96: 32, 97: 0, 128: 0} {
		if v.busy = busy; v.free() != want {
			t.Errorf("%d in hand: asks for %d, want %d", busy, v.free(), want)
		}
	}
}

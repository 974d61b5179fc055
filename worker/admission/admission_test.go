package admission

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// still is a heartbeat that nobody watches.
type still struct{}

func (still) Beat(time.Duration) {}
func (still) Rest()              {}

func quiet(slots int, limit float64) *Admission {
	return New(slots, limit, NewBreaker(20, 100, slots, time.Second, 5*time.Second), still{}, slog.New(slog.DiscardHandler))
}

func TestAdmissionAdmitsTheFreeSlots(t *testing.T) {
	t.Parallel()
	v := quiet(4, 0)
	if n, _ := v.Admit(t.Context()); n != 4 {
		t.Fatalf("admits %d, want all 4", n)
	}
	admitted := make(chan int)
	go func() {
		n, _ := v.Admit(t.Context())
		admitted <- n
	}()
	v.Release(1)
	if n := <-admitted; n != 1 {
		t.Errorf("admits %d, want the one that was freed", n)
	}
}

func TestAdmissionGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]*Admission{"no slot": quiet(1, 0), "no token": quiet(2, 0.001)} {
		v.Admit(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if n, _ := v.Admit(ctx); n != 0 {
			t.Errorf("%s: admits %d", name, n)
		}
	}
}

// Slots come back whatever happens: none leaks by a pull without events, or a token that did not come.
func TestAdmissionLosesNoSlot(t *testing.T) {
	t.Parallel()
	v := quiet(8, 1e6)
	var Working sync.WaitGroup
	for range 200 {
		n, generation := v.Admit(t.Context())
		used := n / 2
		v.Returned(n-used, generation)
		for range used {
			Working.Go(func() { v.Release(1) })
		}
	}
	Working.Wait()
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

func TestPrefetchIsAFewMilliseconds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		roundTrip, call time.Duration
		limit           float64
		want            int
	}{
		{time.Millisecond, 100 * time.Millisecond, 0, 3},  // 64 slots finish 3.8 calls within 6 ms
		{time.Millisecond, 10 * time.Second, 0, 0},        // an event in hand would wait for seconds
		{10 * time.Millisecond, time.Millisecond, 0, 64},  // no more than there are slots
		{10 * time.Millisecond, time.Millisecond, 100, 0}, // the slots wait for the rate limit anyway
		{time.Millisecond, 0, 0, 0},                       // no call was made yet
	} {
		v := quiet(64, c.limit)
		v.Prefetch(c.roundTrip, c.call)
		if v.ahead != c.want {
			t.Errorf("round trip %s, call %s: %d ahead, want %d", c.roundTrip, c.call, v.ahead, c.want)
		}
	}
	v := quiet(64, 0)
	v.Prefetch(10*time.Millisecond, time.Millisecond)
	for busy, want := range map[int]int{0: 128, 64: 64, 96: 32, 97: 0, 128: 0} {
		if v.busy = busy; v.free() != want {
			t.Errorf("%d in hand: asks for %d, want %d", busy, v.free(), want)
		}
	}
}

// lastWord keeps what the loop said last.
type lastWord struct{ within atomic.Int64 }

func (l *lastWord) Beat(within time.Duration) { l.within.Store(int64(within)) }
func (l *lastWord) Rest()                     { l.within.Store(0) }

// The loop says when it comes round next before it takes the lock, so that a lock that nobody gives back is noticed.
func TestAdmissionPromisesToComeRound(t *testing.T) {
	t.Parallel()
	var said lastWord
	a := New(4, 0, NewBreaker(20, 0, 4, time.Second, 5*time.Second), &said, slog.New(slog.DiscardHandler))
	a.mu.Lock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Admit(t.Context())
	}()
	for said.within.Load() != int64(heartbeatInterval) {
		runtime.Gosched()
	}
	a.mu.Unlock()
	<-ended
	if said.within.Load() != 0 {
		t.Error("it still promises to come round, although it returned")
	}
}

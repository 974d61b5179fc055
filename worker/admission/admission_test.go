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

func quiet(slots int, rate float64) *Admission {
	limit := full(slots)
	return New(limit, rate, NewBreaker(20, 100, limit, time.Second, 5*time.Second), [2]Heartbeat{still{}, still{}}, slog.New(slog.DiscardHandler))
}

// arrive lets n deliveries of the lane be pulled, and arrive.
func arrive(t *testing.T, a *Admission, l Lane, n int) {
	t.Helper()
	if got := a.Admit(t.Context(), l); got.N < n {
		t.Fatalf("admits %d of lane %d, want %d", got.N, l, n)
	} else {
		for range n {
			a.Arrived(l, false)
		}
		a.Returned(l, got.N-n, got.Generation)
	}
}

func TestAdmissionAdmitsTheFreeSlots(t *testing.T) {
	t.Parallel()
	a := quiet(4, 0)
	arrive(t, a, Live, 4)
	admitted := make(chan int)
	go func() { admitted <- a.Admit(t.Context(), Live).N }()
	a.Next()
	a.Release(Live)
	if n := <-admitted; n != 1 {
		t.Errorf("admits %d, want the one that was freed", n)
	}
}

func TestAdmissionGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	a := quiet(1, 0)
	arrive(t, a, Live, 1)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if g := a.Admit(ctx, Live); g.N != 0 {
		t.Errorf("admits %d", g.N)
	}
}

// Slots come back whatever happens: none leaks by a pull without events.
func TestAdmissionLosesNoSlot(t *testing.T) {
	t.Parallel()
	a := quiet(8, 0)
	var working sync.WaitGroup
	for i := range 200 {
		lane := Lane(i % 2)
		g := a.Admit(t.Context(), lane)
		for range g.N / 2 {
			a.Arrived(lane, false)
			working.Go(func() {
				l, _ := a.Next()
				a.Release(l)
			})
		}
		a.Returned(lane, g.N-g.N/2, g.Generation)
	}
	working.Wait()
	if a.lanes[Live].held() != 0 || a.lanes[Bulk].held() != 0 {
		t.Errorf("%+v are lost", a.lanes)
	}
}

// Live events begin first, whatever waits, and no more begin than the limit allows.
func TestLiveComesFirst(t *testing.T) {
	t.Parallel()
	a := quiet(4, 0)
	arrive(t, a, Bulk, 4)
	for range 4 {
		a.Next()
	}
	// Bulk has all slots; one live event is pulled all the same, and gets the next slot that comes free.
	arrive(t, a, Live, 1)
	began := make(chan Lane)
	go func() {
		l, _ := a.Next()
		began <- l
	}()
	select {
	case l := <-began:
		t.Fatalf("lane %d begins beyond the limit", l)
	case <-time.After(20 * time.Millisecond):
	}
	a.mu.Lock()
	a.lanes[Bulk].waiting++ // another one that was in hand
	a.mu.Unlock()
	a.Release(Bulk)
	if l := <-began; l != Live {
		t.Errorf("lane %d begins first", l)
	}
}

// Bulk events get all slots while there is no live one, and none while live ones fill them.
func TestBulkGetsWhatIsLeft(t *testing.T) {
	t.Parallel()
	a, now := quiet(64, 0), time.Now()
	for _, c := range []struct{ liveAsked, liveWorking, bulkWorking, live, bulk int }{
		{0, 0, 0, 64, 64},
		{1, 0, 64, 0, 0},
		{1, 10, 54, 0, 0}, // one is still asked for
		{0, 10, 54, 0, 0},
		{0, 10, 30, 24, 24},
		{0, 64, 0, 0, 0},
		{64, 0, 0, 0, 64}, // an open pull that finds nothing leaves the slots to bulk
	} {
		a.lanes[Live].asked, a.lanes[Live].working, a.lanes[Bulk].working = c.liveAsked, c.liveWorking, c.bulkWorking
		if live, bulk := a.room(now, Live), a.room(now, Bulk); live != c.live || bulk != c.bulk {
			t.Errorf("%+v: room for %d and %d", c, live, bulk)
		}
	}
	a.lanes[Live], a.lanes[Bulk] = laneState{asked: 64, backlog: true}, laneState{}
	if bulk := a.room(now, Bulk); bulk != 0 {
		t.Errorf("a pull that finds a backlog leaves %d to bulk", bulk)
	}
}

// A breaker that is half-open looks for a live event to probe with, and for a bulk one if there is none.
func TestProbesComeFromTheLiveLaneFirst(t *testing.T) {
	t.Parallel()
	a := quiet(4, 0)
	a.breaker.change(HalfOpen)
	if g, _ := a.admit(time.Now(), Bulk); g.N != 0 {
		t.Fatal("bulk probes before live was asked")
	}
	g, _ := a.admit(time.Now(), Live)
	if g.N != 1 || g.Wait != probeWait {
		t.Fatalf("live: %+v", g)
	}
	a.Returned(Live, 1, g.Generation)
	if g, _ := a.admit(time.Now(), Bulk); g.N != 1 {
		t.Errorf("bulk does not probe, although live had nothing: %+v", g)
	}
}

// A live consumer that is not served does not keep bulk events from probing.
func TestBulkProbesWhileLiveIsAway(t *testing.T) {
	t.Parallel()
	a := quiet(4, 0)
	a.breaker.change(HalfOpen)
	a.Away(Live, true)
	if g, _ := a.admit(time.Now(), Bulk); g.N != 1 || g.Wait != pullWait {
		t.Errorf("bulk: %+v", g)
	}
}

func TestTokensBoundTheRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		most, learned float64
		want          int // in ten seconds
	}{{100, 1e12, 1000}, {100, 50, 500}, {1e6, 50, 500}, {0.5, 1e12, 5}} {
		b, now, n := &tokens{most: c.most, slots: 64}, time.Unix(1_800_000_000, 0), 0
		b.take(now, c.learned)
		for at := now; at.Sub(now) < 10*time.Second; at = at.Add(500 * time.Microsecond) {
			if b.take(at, c.learned) == 0 {
				n++
			}
		}
		if n < c.want-1 || n > c.want+12 {
			t.Errorf("%v and %v a second: %d calls in ten seconds, want %d", c.most, c.learned, n, c.want)
		}
	}
}

func TestPrefetchIsAFewMilliseconds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		roundTrip, call time.Duration
		rate            float64
		want            int
	}{
		{time.Millisecond, 100 * time.Millisecond, 0, 64 + 5},     // 64 slots finish 5.1 calls within 8 ms
		{time.Millisecond, 10 * time.Second, 0, 64},               // an event in hand would wait for seconds
		{10 * time.Millisecond, time.Millisecond, 0, 3 * 64},      // no more than twice the slots
		{10 * time.Millisecond, 5 * time.Millisecond, 100, 1 + 3}, // what the rate does in this time
		{time.Millisecond, 0, 0, 64},                              // no call was made yet
	} {
		a := quiet(64, c.rate)
		a.Prefetch(c.roundTrip, c.call)
		if n := a.room(time.Now(), Live); n != c.want {
			t.Errorf("round trip %s, call %s: room for %d, want %d", c.roundTrip, c.call, n, c.want)
		}
	}
	a := quiet(64, 0)
	a.Prefetch(10*time.Millisecond, time.Millisecond)
	for busy, want := range map[int]int{0: 192, 64: 128, 128: 64, 129: 0, 192: 0} {
		if a.lanes[Live].asked = busy; a.room(time.Now(), Live) != want {
			t.Errorf("%d in hand: asks for %d, want %d", busy, a.room(time.Now(), Live), want)
		}
	}
}

// A rate that is far above what the limit lets be called does not limit the calls.
func TestTheCauseIsWhatLimitsMost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate     float64
		meanCall time.Duration
		want     Cause
	}{
		{0, 20 * time.Millisecond, ByBound},
		{100, 20 * time.Millisecond, ByRate},
		{100, 0, ByRate}, // no call was made yet
		{5000, 20 * time.Millisecond, ByBound},
	} {
		a := quiet(64, 0)
		a.Prefetch(time.Millisecond, c.meanCall)
		if c.rate > 0 {
			a.rate.become(steady, time.Now(), c.rate)
		}
		if got := a.Capacity(); got.Cause != c.want || got.Rate != c.rate {
			t.Errorf("%.0f calls a second, %s each: %+v, want %s", c.rate, c.meanCall, got, c.want)
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
	limit := full(4)
	a := New(limit, 0, NewBreaker(20, 0, limit, time.Second, 5*time.Second), [2]Heartbeat{&said, still{}}, slog.New(slog.DiscardHandler))
	a.mu.Lock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Admit(t.Context(), Live)
	}()
	for said.within.Load() != int64(heartbeatInterval) {
		runtime.Gosched()
	}
	a.mu.Unlock()
	<-ended
}

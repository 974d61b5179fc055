package admission

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// far is a worker whose pulls take long beside its calls.
type far struct {
	slots           int
	rate            float64 // calls per second that the API allows; 0 for no limit
	roundTrip, call time.Duration
}

// perSecond is how many calls it makes while there is a backlog.
func (f far) perSecond(t *testing.T) float64 {
	const length = 20 * time.Second
	a := quiet(f.slots, f.rate)
	a.local.sample[0].Name = "none" // the delays of this machine have no place in a simulation
	ctx, end := context.WithTimeout(t.Context(), length)
	defer end()
	a.End(Bulk)
	go f.pull(ctx, a)
	return float64(work(a, f.slots, f.call)()) / length.Seconds()
}

// work makes calls with as many slots, and returns what waits until the lanes have ended, and for how many calls there were.
func work(a *Admission, slots int, call time.Duration) (wait func() (calls int64)) {
	var calls atomic.Int64
	var working sync.WaitGroup
	for range slots {
		working.Go(func() {
			for lane, more := a.Next(); more; lane, more = a.Next() {
				time.Sleep(call)
				a.Report(Result{Ended: Answered, Took: call})
				a.Release(lane)
				calls.Add(1)
			}
		})
	}
	return func() int64 {
		working.Wait()
		return calls.Load()
	}
}

// pull is a server that has all that is asked for, after a time that scatters.
func (f far) pull(ctx context.Context, a *Admission) {
	defer a.End(Live)
	r := rand.New(rand.NewPCG(1, 2))
	for mean := time.Duration(0); ; {
		grant := a.Admit(ctx, Live)
		if grant.N == 0 {
			return
		}
		took := time.Duration(r.ExpFloat64() * float64(f.roundTrip))
		time.Sleep(took)
		for range grant.N {
			a.Arrived(Live, true)
		}
		a.Returned(Live, 0, grant.Generation)
		mean += (took - mean) / 64
		a.Prefetch(mean, f.call)
	}
}

// A server that is far away leaves the slots busy, and the API's rate used: a rate that isn't used can't be found to be too low either.
func TestASlowPullLeavesNoSlotIdle(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		far
		least float64
	}{
		{far{16, 0, ms, 7 * ms}, 2200},
		{far{16, 0, 20 * ms, 100 * ms}, 142},
		{far{64, 0, 20 * ms, 20 * ms}, 2650},
		{far{16, 200, ms, 7 * ms}, 195},
		{far{16, 200, 20 * ms, 7 * ms}, 190},
		{far{16, 200, 50 * ms, 7 * ms}, 170},
		{far{64, 1000, 20 * ms, 20 * ms}, 950},
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := c.perSecond(t); got < c.least {
				t.Errorf("%+v: %.0f calls a second, want %.0f", c.far, got, c.least)
			}
		})
	}
}

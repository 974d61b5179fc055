package admission

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// throttle is an API that allows so many calls a second.
type throttle interface{ allow(now time.Time) bool }

// bucket allows a burst, as most gateways do.
type bucket struct {
	perSecond, burst, tokens float64
	at                       time.Time
}

func (b *bucket) allow(now time.Time) bool {
	b.tokens = min(b.tokens+now.Sub(b.at).Seconds()*b.perSecond, b.burst)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// fixedWindow counts anew each second.
type fixedWindow struct {
	perSecond float64
	second    int64
	n         int
}

func (f *fixedWindow) allow(now time.Time) bool {
	if s := now.Unix(); s != f.second {
		f.second, f.n = s, 0
	}
	f.n++
	return float64(f.n) <= f.perSecond
}

// rateLoad plays workers with endless backlogs against a throttle.
type rateLoad struct {
	*load
	api     throttle
	stated  float64 // by each answer that accepts a call; 0 for nothing
	workers []*rateWorker
	refused int
}

type rateWorker struct {
	load     *rateLoad
	rate     *Rate
	slots    int
	calling  int
	tokens   float64
	at       time.Time
	accepted int
	asleep   bool
}

func newRateLoad(workers int, api throttle) *rateLoad {
	l := &rateLoad{load: newLoad(0, 0), api: api}
	for range workers {
		l.join()
	}
	return l
}

func (l *rateLoad) join() {
	w := &rateWorker{load: l, rate: NewRate(), slots: 64, at: l.now}
	w.rate.random = l.random.Float64
	l.workers = append(l.workers, w)
	l.after(time.Duration(l.random.Int64N(int64(50*time.Millisecond))), w.begin)
}

func (w *rateWorker) begin() {
	now := w.load.now
	for w.calling < w.slots {
		perSecond, wait := w.rate.Now(now)
		if wait > 0 {
			w.sleep(wait)
			return
		}
		if w.rate.Checking() && w.calling > 0 {
			return
		}
		if !math.IsInf(perSecond, 1) {
			w.tokens = min(w.tokens+now.Sub(w.at).Seconds()*perSecond, max(1, perSecond/50))
			w.at = now
			if w.tokens < 1 {
				w.sleep(max(time.Duration((1-w.tokens)/perSecond*1e9), time.Millisecond))
				return
			}
			w.tokens--
		}
		w.calling++
		took, ok := 5*time.Millisecond, w.load.api.allow(now)
		if !ok {
			took = time.Millisecond
		}
		w.load.after(took, func() {
			w.calling--
			if ok {
				w.accepted++
				w.rate.Accepted(w.load.now)
				if w.load.stated > 0 {
					w.rate.States(w.load.now, w.load.stated, 0)
				}
			} else {
				w.load.refused++
				w.rate.Refused(w.load.now, time.Second)
			}
			w.begin()
		})
	}
}

func (w *rateWorker) sleep(d time.Duration) {
	if !w.asleep {
		w.asleep = true
		w.load.after(d, func() { w.asleep = false; w.begin() })
	}
}

func (l *rateLoad) total() (n int) {
	for _, w := range l.workers {
		n += w.accepted
	}
	return n
}

func TestRateHoversBelowWhatTheAPIAllows(t *testing.T) {
	t.Parallel()
	small := func() throttle { return &bucket{perSecond: 1000, burst: 100, tokens: 100} }
	for name, c := range map[string]struct {
		api              func() throttle
		allowed, refused float64
		workers          int
	}{
		"one, a bucket":       {small, 1000, 0.01, 1},
		"one, a large bucket": {func() throttle { return &bucket{perSecond: 1000, burst: 1000, tokens: 1000} }, 1000, 0.01, 1},
		"one, fixed seconds":  {func() throttle { return &fixedWindow{perSecond: 1000} }, 1000, 0.01, 1},
		// 64 calls are in flight before the first is refused.
		"one, ten a second":   {func() throttle { return &bucket{perSecond: 10, burst: 10, tokens: 10} }, 10, 0.25, 1},
		"four, a bucket":      {small, 1000, 0.015, 4},
		"four, fixed seconds": {func() throttle { return &fixedWindow{perSecond: 1000} }, 1000, 0.015, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newRateLoad(c.workers, c.api())
			l.run(20 * time.Second)
			at20 := make([]int, c.workers)
			for i, w := range l.workers {
				at20[i] = w.accepted
			}
			l.run(10 * time.Second)
			n := float64(l.total())
			part, refused := n/30/c.allowed, float64(l.refused)/n
			t.Logf("%.3f of the rate, %.2f%% refused", part, 100*refused)
			if part < 0.93 || refused > c.refused {
				t.Errorf("%.3f of the rate, %.2f%% refused", part, 100*refused)
			}
			l.run(20 * time.Second)
			for i, w := range l.workers {
				share := float64(w.accepted-at20[i]) / 30 / c.allowed * float64(c.workers)
				if share < 0.5 || share > 2 {
					t.Errorf("worker %d has %.2f of its equal share", i, share)
				}
			}
		})
	}
}

func TestRateFollowsAChangeOfTheLimit(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 4} {
		for _, to := range []float64{2000, 500, 100} {
			t.Run(fmt.Sprintf("%d workers, from 1000 to %.0f", workers, to), func(t *testing.T) {
				t.Parallel()
				api := &bucket{perSecond: 1000, burst: 100, tokens: 100}
				l := newRateLoad(workers, api)
				l.run(33 * time.Second)
				api.perSecond = to
				l.run(15 * time.Second)
				from, refused := l.total(), l.refused
				l.run(20 * time.Second)
				part := float64(l.total()-from) / 20 / to
				t.Logf("%.3f of the new rate, %d refused", part, l.refused-refused)
				if part < 0.9 {
					t.Errorf("%.3f of the new rate", part)
				}
			})
		}
	}
}

// One that begins later gets its share in time.
func TestRateMakesRoomForANewWorker(t *testing.T) {
	t.Parallel()
	l := newRateLoad(1, &bucket{perSecond: 1000, burst: 100, tokens: 100})
	l.run(30 * time.Second)
	l.join()
	l.run(3 * time.Minute)
	from := l.workers[1].accepted
	l.run(time.Minute)
	if share := float64(l.workers[1].accepted-from) / 60; share < 250 {
		t.Errorf("the second worker has %.0f of 1,000 calls a second", share)
	}
}

// What the API states saves the first refusals, and the probing.
func TestRateBelievesWhatTheAPIStates(t *testing.T) {
	t.Parallel()
	l := newRateLoad(1, &bucket{perSecond: 1000, burst: 100, tokens: 100})
	l.stated = 1000
	l.workers[0].rate.States(l.now, l.stated, 0)
	l.run(60 * time.Second)
	if part := float64(l.total()) / 60_000; l.refused > 0 || part < 0.97 {
		t.Errorf("%.3f of the rate, %d refused", part, l.refused)
	}
	l.workers[0].rate.States(l.now, l.stated, 2*time.Second)
	from := l.total()
	l.run(2 * time.Second)
	if n := l.total() - from; n > 64 {
		t.Errorf("%d calls while none are left", n)
	}
}

// An API that no longer states a rate may no longer limit it.
func TestRateForgetsWhatTheAPIStatesNoMore(t *testing.T) {
	t.Parallel()
	for name, stated := range map[string]float64{"nothing": 0, "a higher one": 3000} {
		api := &bucket{perSecond: 1000, burst: 100, tokens: 100}
		l := newRateLoad(1, api)
		l.stated = 1000
		l.workers[0].rate.States(l.now, l.stated, 0)
		l.run(20 * time.Second)
		api.perSecond, l.stated = 3000, stated
		l.run(30 * time.Second)
		from := l.total()
		l.run(20 * time.Second)
		if part := float64(l.total()-from) / 20 / 3000; part < 0.9 {
			t.Errorf("%s: %.3f of the new rate", name, part)
		}
	}
}

// A Retry-After of more than a second is obeyed to the end, and one of a second asks for a few calls.
func TestRateObeysTheRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wait     time.Duration
		accepted bool
		most     int
	}{{time.Second, true, 5}, {time.Second, false, 1}, {4 * time.Second, true, 1}} {
		r, now, calls, wait := NewRate(), time.Unix(1_800_000_000, 0), 0, c.wait
		if c.accepted {
			r.Accepted(now)
		}
		r.Refused(now, wait)
		for end := now.Add(wait); now.Before(end); now = now.Add(10 * time.Millisecond) {
			if _, paused := r.Now(now); paused == 0 {
				calls++
				r.Refused(now, wait)
			}
		}
		if calls > c.most {
			t.Errorf("%d calls in a Retry-After of %s", calls, wait)
		}
	}
}

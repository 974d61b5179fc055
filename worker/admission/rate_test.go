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
	workers []*rateWorker
	refused int
}

type rateWorker struct {
	load     *rateLoad
	rate     Rate
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
	w := &rateWorker{load: l, slots: 64, at: l.now}
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
	for name, c := range map[string]struct {
		api     func() throttle
		workers int
	}{
		"one, a bucket":       {func() throttle { return &bucket{perSecond: 1000, burst: 100, tokens: 100} }, 1},
		"one, a large bucket": {func() throttle { return &bucket{perSecond: 1000, burst: 1000, tokens: 1000} }, 1},
		"one, fixed seconds":  {func() throttle { return &fixedWindow{perSecond: 1000} }, 1},
		"one, ten a second":   {func() throttle { return &bucket{perSecond: 10, burst: 10, tokens: 10} }, 1},
		"four, a bucket":      {func() throttle { return &bucket{perSecond: 1000, burst: 100, tokens: 100} }, 4},
		"four, fixed seconds": {func() throttle { return &fixedWindow{perSecond: 1000} }, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newRateLoad(c.workers, c.api())
			allowed := 1000.0
			if name == "one, ten a second" {
				allowed = 10
			}
			for _, after := range []time.Duration{20 * time.Second, 10 * time.Second, 30 * time.Second, 60 * time.Second} {
				from, refused := l.total(), l.refused
				shares := make([]int, len(l.workers))
				for i, w := range l.workers {
					shares[i] = -w.accepted
				}
				l.run(after)
				for i, w := range l.workers {
					shares[i] += w.accepted
				}
				n := float64(l.total() - from)
				t.Logf("%s: %.3f of the rate, %.2f%% refused, shares %v rate %.0f phase %d", after, n/allowed/after.Seconds(), 100*float64(l.refused-refused)/n, shares, l.workers[0].rate.rate, l.workers[0].rate.phase)
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
				for range 7 {
					from := l.total()
					l.run(5 * time.Second)
					t.Logf("%.3f of the rate", float64(l.total()-from)/5/to)
				}
			})
		}
	}
}

package admission

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// load plays workers with endless backlogs, other users, and an API, with a clock of its own.
type load struct {
	random  *rand.Rand
	now     time.Time
	agenda  appointments
	workers []*loadWorker
	// api is how long a call takes that begins now, and how it ends.
	api func() (time.Duration, Ended)
	// stall tells how long the process stood still during a call that took so long, and local what it says of its own part.
	stall func(took time.Duration) time.Duration
	local time.Duration
	done  func(w *loadWorker, took time.Duration)
}

type loadWorker struct {
	load    *load
	limit   *Limit
	calling int
	most    int
	ended   int
	idle    func() bool // no event waits
	again   time.Time
}

type appointment struct {
	at time.Time
	do func()
}
type appointments []appointment

func (a appointments) Len() int           { return len(a) }
func (a appointments) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a appointments) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *appointments) Push(x any)        { *a = append(*a, x.(appointment)) }
func (a *appointments) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func newLoad(workers, bound int) *load {
	l := &load{random: rand.New(rand.NewPCG(1, 2)), now: time.Unix(1_800_000_003, 0)}
	l.stall = func(time.Duration) time.Duration { return 0 }
	for range workers {
		l.add(bound)
	}
	return l
}

// add adds a worker, which has not begun.
func (l *load) add(bound int) *loadWorker {
	w := &loadWorker{load: l, limit: NewLimit(bound), idle: func() bool { return false }}
	l.workers = append(l.workers, w)
	return w
}

func (l *load) after(d time.Duration, do func()) { heap.Push(&l.agenda, appointment{l.now.Add(d), do}) }

func (l *load) run(d time.Duration) {
	end := l.now.Add(d)
	for _, w := range l.workers {
		w.begin()
	}
	for len(l.agenda) > 0 && !l.agenda[0].at.After(end) {
		next := heap.Pop(&l.agenda).(appointment)
		l.now = next.at
		next.do()
	}
	l.now = end
}

// rate is how many calls a second end in d.
func (l *load) rate(d time.Duration) float64 {
	before := l.ended()
	l.run(d)
	return float64(l.ended()-before) / d.Seconds()
}

func (l *load) ended() (n int) {
	for _, w := range l.workers {
		n += w.ended
	}
	return n
}

func (w *loadWorker) begin() {
	n, again := w.limit.Now(w.load.now)
	if w.calling >= n {
		if full := w.limit.Full(w.load.now); again == 0 || full < again {
			again = full
		}
	}
	if again > 0 && !w.again.After(w.load.now) {
		w.again = w.load.now.Add(again)
		w.load.after(again, w.begin)
	}
	for w.calling < n && !w.idle() {
		w.calling++
		w.most = max(w.most, w.calling)
		took, ended := w.load.api()
		w.load.after(took, func() {
			w.limit.Called(w.load.now, Call{Ended: ended, Took: took, InFlight: w.calling, Local: w.load.local, Stall: w.load.stall(took)})
			w.calling--
			if ended == Answered {
				w.ended++
			}
			if w.load.done != nil {
				w.load.done(w, took)
			}
			w.begin()
		})
	}
}

// servers is an API that serves so many calls at a time, first come, first served.
type servers struct {
	load *load
	free []time.Time
	each func() time.Duration
}

func newServers(l *load, n int, each time.Duration) *servers {
	s := &servers{load: l, free: make([]time.Time, n), each: func() time.Duration { return each }}
	l.api = s.call
	return s
}

func (s *servers) call() (time.Duration, Ended) {
	first := 0
	for i, at := range s.free {
		if at.Before(s.free[first]) {
			first = i
		}
	}
	begins := s.load.now
	if s.free[first].After(begins) {
		begins = s.free[first]
	}
	s.free[first] = begins.Add(s.each())
	return s.free[first].Sub(s.load.now), Answered
}

// neighbours ask the API 50 times a second, and return what they wait.
func (l *load) neighbours() *[]time.Duration {
	waits := &[]time.Duration{}
	var ask func()
	ask = func() {
		took, _ := l.api()
		*waits = append(*waits, took)
		l.after(20*time.Millisecond, ask)
	}
	ask()
	return waits
}

func percentile(all []time.Duration, p float64) time.Duration {
	slices.Sort(all)
	return all[int(p*float64(len(all)-1))]
}

func TestLimitLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 4, 50} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			l := newLoad(workers, 256)
			newServers(l, 16, 10*time.Millisecond).each = func() time.Duration {
				return 8*time.Millisecond + time.Duration(l.random.Int64N(int64(4*time.Millisecond)))
			}
			waits := l.neighbours()
			l.run(50 * time.Second)
			*waits = nil
			rate := l.rate(60 * time.Second)
			least, most := math.MaxInt, 0
			for _, w := range l.workers {
				least, most = min(least, w.ended), max(most, w.ended)
			}
			p50, p99 := percentile(*waits, .5), percentile(*waits, .99)
			t.Logf("%.0f/s of 1550; others p50 %s, p99 %s; a worker's share %d to %d", rate, p50, p99, least, most)
			if workers <= 4 && (p50 > 20*time.Millisecond || p99 > 36*time.Millisecond) || workers == 1 && p50 > 16*time.Millisecond {
				t.Error("the others wait for too long")
			}
			if rate < 0.9*1550 {
				t.Error("too much is left unused")
			}
			if most > 4*least {
				t.Error("the shares are not fair")
			}
		})
	}
}

func TestLimitFollowsAnAPIThatBecomesSlowerForAll(t *testing.T) {
	t.Parallel()
	for _, to := range []time.Duration{100 * time.Millisecond, 23 * time.Millisecond, 5 * time.Millisecond} {
		l := newLoad(1, 256)
		each := 20 * time.Millisecond
		l.api = func() (time.Duration, Ended) {
			return each + time.Duration(l.random.Int64N(int64(time.Millisecond))), Answered
		}
		l.run(10 * time.Second)
		if n, _ := l.workers[0].limit.Now(l.now); n != 256 {
			t.Errorf("the limit is %d without a queue", n)
		}
		each = to
		l.run(15 * time.Second)
		rate := l.rate(15 * time.Second)
		t.Logf("%s: %.0f/s", to, rate)
		if rate < 0.9*256/to.Seconds() {
			t.Errorf("%s: %.0f/s", to, rate)
		}
	}
}

// What an API does by chance, or for a moment, is no queue: the limit stays near its bound, whatever the dice.
func TestLimitIsNotMisledByNoise(t *testing.T) {
	t.Parallel()
	drawn := func(draw func(*rand.Rand) float64) func(*load) func() time.Duration {
		return func(l *load) func() time.Duration {
			return func() time.Duration { return time.Duration(draw(l.random) * 1e9) }
		}
	}
	for name, each := range map[string]func(*load) func() time.Duration{
		"log-normal, sigma 0.3": drawn(func(r *rand.Rand) float64 { return .02 * math.Exp(.3*r.NormFloat64()) }),
		"log-normal, sigma 1":   drawn(func(r *rand.Rand) float64 { return .02 * math.Exp(r.NormFloat64()) }),
		"exponential":           drawn(func(r *rand.Rand) float64 { return .02 * r.ExpFloat64() }),
		"bimodal":               drawn(func(r *rand.Rand) float64 { return []float64{.005, .05}[r.IntN(2)] }),
		"1% take a second": drawn(func(r *rand.Rand) float64 {
			if r.IntN(100) == 0 {
				return 1
			}
			return .02
		}),
		"stands still for 60 ms each second": pausing(time.Second, 60*time.Millisecond),
		"stands still for 30 ms each 300 ms": pausing(300*time.Millisecond, 30*time.Millisecond),
	} {
		sum, looks := 0, 0
		for seed := range uint64(8) {
			l := newLoad(1, 64)
			l.random = rand.New(rand.NewPCG(seed, 2))
			took := each(l)
			l.api = func() (time.Duration, Ended) { return took(), Answered }
			l.run(10 * time.Second)
			for range 300 {
				l.run(100 * time.Millisecond)
				n, _ := l.workers[0].limit.Now(l.now)
				sum, looks = sum+n, looks+1
			}
		}
		mean := float64(sum) / float64(looks)
		t.Logf("%s: mean limit %.1f of 64", name, mean)
		if mean < 0.9*64 {
			t.Errorf("%s: mean limit %.1f", name, mean)
		}
	}
}

// pausing is an API that takes 20 ms and stands still now and then, as for the collection of garbage.
func pausing(every, lasts time.Duration) func(*load) func() time.Duration {
	return func(l *load) func() time.Duration {
		began, ended, next := l.now, l.now, l.now
		return func() time.Duration {
			end := l.now.Add(20 * time.Millisecond)
			for ; end.After(next); next = ended.Add(time.Duration(l.random.ExpFloat64() * float64(every))) {
				began = next
				ended = next.Add(time.Duration((0.5 + l.random.Float64()) * float64(lasts)))
			}
			if end.After(began) && end.Before(ended) {
				end = ended.Add(time.Duration(l.random.Int64N(int64(time.Millisecond))))
			}
			return end.Sub(l.now)
		}
	}
}

// The capacity of the API goes up and down, in steps, in a ramp, or all the time.
func TestLimitFollowsAChangingCapacity(t *testing.T) {
	t.Parallel()
	for name, servers := range map[string]func(at time.Duration) int{
		"a step up": func(at time.Duration) int {
			if at < 20*time.Second {
				return 8
			}
			return 64
		},
		"a step down": func(at time.Duration) int {
			if at < 20*time.Second {
				return 64
			}
			return 8
		},
		"a ramp":      func(at time.Duration) int { return 8 + int(at/time.Second) },
		"oscillation": func(at time.Duration) int { return 32 + int(24*math.Sin(at.Seconds()/3)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLoad(1, 256)
			s := newServers(l, 8, 10*time.Millisecond)
			s.each = func() time.Duration {
				return 8*time.Millisecond + time.Duration(l.random.Int64N(int64(4*time.Millisecond)))
			}
			waits, allowed, before := l.neighbours(), 0.0, 0
			for at := time.Duration(0); at < 60*time.Second; at += 100 * time.Millisecond {
				s.resize(servers(at))
				if at == 10*time.Second {
					*waits, before = nil, l.ended()
				}
				if at >= 10*time.Second {
					allowed += float64(servers(at))*10 - 5
				}
				l.run(100 * time.Millisecond)
			}
			part := float64(l.ended()-before) / allowed
			t.Logf("%.3f of what the others leave; they wait p50 %s, p99 %s", part, percentile(*waits, .5), percentile(*waits, .99))
			if part < 0.85 {
				t.Errorf("%.3f of what the others leave", part)
			}
			if p50 := percentile(*waits, .5); p50 > 20*time.Millisecond {
				t.Errorf("the others wait %s", p50)
			}
		})
	}
}

// resize changes how many calls are served at a time. What waits goes on waiting.
func (s *servers) resize(n int) {
	slices.SortFunc(s.free, time.Time.Compare)
	for len(s.free) < n {
		s.free = append(s.free, s.load.now)
	}
	s.free = s.free[len(s.free)-n:]
}

// Whatever the API does: never more calls than the bound are in flight, the limit is never below 1, and once the API is healthy it
// comes back from wherever it was.
func TestLimitKeepsItsBoundsAndComesBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		l := newLoad(1+int(seed%3), 64)
		l.random = rand.New(rand.NewPCG(seed, 9))
		healthy := func() (time.Duration, Ended) {
			return 10*time.Millisecond + time.Duration(l.random.Int64N(int64(2*time.Millisecond))), Answered
		}
		kinds := []func() (time.Duration, Ended){
			healthy,
			func() (time.Duration, Ended) { return time.Duration(l.random.Int64N(int64(time.Second))), Answered },
			func() (time.Duration, Ended) { return 50 * time.Millisecond, Overloaded },
			func() (time.Duration, Ended) { return 10 * time.Second, Overloaded },
			func() (time.Duration, Ended) { return 50 * time.Millisecond, Exhausted },
			func() (time.Duration, Ended) { return 50 * time.Millisecond, Unknown },
			func() (time.Duration, Ended) { return time.Second, Answered },
		}
		for range 10 {
			l.api = kinds[l.random.IntN(len(kinds))]
			l.local = time.Duration(l.random.Int64N(int64(20 * time.Millisecond)))
			l.run(time.Duration(l.random.Int64N(int64(20 * time.Second))))
			if w := l.workers[0]; l.random.IntN(3) == 0 {
				w.limit.Opened(w.calling)
				w.limit.Closed(l.now)
			}
		}
		l.api, l.local = healthy, 0
		l.run(45 * time.Second)
		for _, w := range l.workers {
			n, _ := w.limit.Now(l.now)
			if w.most > 64 {
				t.Errorf("seed %d: %d calls in flight", seed, w.most)
			}
			if n < 32 {
				t.Errorf("seed %d: the limit is %d (%s) on a healthy API", seed, n, w.limit.Why())
			}
		}
	}
}

// A few calls an hour teach nothing.
func TestLimitLearnsNothingFromAFewCalls(t *testing.T) {
	t.Parallel()
	limit, now := NewLimit(64), time.Unix(1_800_000_000, 0)
	for i := range 1000 {
		now = now.Add(10 * time.Minute)
		limit.Now(now)
		limit.Called(now, Call{Ended: Answered, Took: time.Duration(1+i%50) * 100 * time.Millisecond, InFlight: 1})
	}
	if n, _ := limit.Now(now); n != startLimit {
		t.Errorf("the limit is %d", n)
	}
}

// Calls that hang are no queue: they don't block the others.
func TestLimitDoesNotWaitForCallsThatHang(t *testing.T) {
	t.Parallel()
	limit, now := NewLimit(64), time.Unix(1_800_000_000, 0)
	for range 40 {
		limit.Full(now)
		now = now.Add(100 * time.Millisecond)
	}
	if n, _ := limit.Now(now); n != 64 {
		t.Errorf("the limit is %d after four seconds in which no call ended", n)
	}
}

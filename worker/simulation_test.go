package worker

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"revoker/config"
)

// simulation plays a worker around its breaker, pacer and retry policy, with a clock of its own: a backlog that never
// ends, slots that make calls, and an API that goes down and comes back.
type simulation struct {
	t       *testing.T
	random  *rand.Rand
	slots   int
	latency time.Duration
	failing float64 // share of new sessions that fail
	times   int     // how often they do

	now     time.Time
	end     time.Time
	breaker *breaker
	pacer   *pacer
	retries retryPolicy
	due     agenda // retries
	ending  agenda // calls in flight
	created int

	outages   []outageSpan
	changed   time.Time // when the API last went down or came back; zero for never
	ambiguous int       // results since then that left open who is at fault
}

// outageSpan is a time in which every call fails; with an answer of the API's own, or without.
type outageSpan struct {
	from, to time.Time
	answered bool
}

// play is one session's next delivery, or its call in flight.
type play struct {
	at         time.Time
	session    int
	deliveries int
	failures   int // yet to come
	generation uint64
	down       *outageSpan
}

type agenda []*play

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(*play)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	cfg := config.Default()
	random := rand.New(rand.NewPCG(seed, seed))
	start := time.Unix(1_700_000_000, 0)
	s := &simulation{
		t: t, random: random, now: start,
		slots:   1 << random.IntN(6),
		latency: time.Duration(5+random.IntN(50)) * time.Millisecond,
		failing: 0.3 * random.Float64(),
		times:   1 + random.IntN(30),
		breaker: newBreaker(cfg.BreakerFailures, cfg.BreakerProbeInterval, cfg.BreakerMaxProbeInterval),
		retries: newRetryPolicy(cfg),
	}
	s.pacer = newPacer(s.slots, cfg.RetryShare, 0)
	for at := start; len(s.outages) < 3; {
		from := at.Add(time.Duration(5+random.IntN(20)) * time.Second)
		at = from.Add(time.Duration(100+random.IntN(30_000)) * time.Millisecond)
		s.outages = append(s.outages, outageSpan{from, at, random.IntN(2) == 0})
	}
	s.end = s.outages[2].to.Add(20 * time.Second)
	return s
}

// crowd adds sessions that are known to fail, whose retries are all due at a time.
func (s *simulation) crowd(n int, at time.Time) {
	for range n {
		s.created++
		heap.Push(&s.due, &play{at: at, session: s.created, deliveries: 5, failures: 1_000_000})
	}
}

// outage is the one that the API has, if any.
func (s *simulation) outage() *outageSpan {
	for i := range s.outages {
		if o := &s.outages[i]; !s.now.Before(o.from) && s.now.Before(o.to) {
			return o
		}
	}
	return nil
}

// run plays until the end: begin what may begin, then go on to the next moment at which something happens.
func (s *simulation) run() {
	for s.now.Before(s.end) {
		next := s.begin()
		if len(s.ending) > 0 && s.ending[0].at.Before(next) {
			next = s.ending[0].at
		}
		for _, o := range s.outages {
			for _, edge := range []time.Time{o.from, o.to} {
				if s.now.Before(edge) && !next.Before(edge) {
					next, s.changed, s.ambiguous = edge, edge, 0
				}
			}
		}
		s.now = next
		for len(s.ending) > 0 && !s.ending[0].at.After(s.now) {
			s.finish(heap.Pop(&s.ending).(*play))
		}
		s.check()
	}
}

// begin starts the calls that breaker and slots allow; retries that are due come first. It returns when to ask again.
func (s *simulation) begin() time.Time {
	n, wait := s.breaker.admit(s.now, s.slots-len(s.ending), len(s.ending))
	for range n {
		p := &play{deliveries: 0}
		if len(s.due) > 0 && !s.due[0].at.After(s.now) {
			p = heap.Pop(&s.due).(*play)
		} else {
			s.created++
			p.session = s.created
			if s.random.Float64() < s.failing {
				p.failures = s.times
			}
		}
		p.deliveries++
		p.generation, p.down = s.breaker.generation, s.outage()
		p.at = s.now.Add(s.latency/2 + time.Duration(s.random.Int64N(int64(s.latency))))
		heap.Push(&s.ending, p)
	}
	return s.now.Add(min(wait, time.Second))
}

// finish judges a call as the worker does.
func (s *simulation) finish(p *play) {
	s.pacer.observe(s.latency)
	r := result{generation: p.generation, session: string(rune(p.session)), reason: "down", verdict: working}
	failed := p.down != nil || p.failures > 0
	switch unanswered := p.down != nil && !p.down.answered; {
	case !failed:
	case unanswered || p.deliveries == 1:
		r.verdict, r.answered = failing, !unanswered
	default:
		r.verdict = ambiguous
		s.ambiguous++
	}
	if s.breaker.report(s.now, r); !failed {
		return
	}
	if p.failures > 0 && p.down == nil {
		p.failures--
	}
	p.at = s.now.Add(s.pacer.place(s.now, s.retries.delay(p.deliveries)))
	heap.Push(&s.due, p)
}

// check holds the breaker against what it promises. Slots are few after an earlier outage, and what ends now may have begun
// before the change; and each result that leaves open who is at fault takes its time.
func (s *simulation) check() {
	round := 2 * s.latency
	slack := time.Duration(2*s.ambiguous/s.slots+20) * round
	since := s.now.Sub(s.changed)
	switch down := s.outage() != nil; {
	case down && s.breaker.state == Closed:
		if few := min(s.slots, rampStart); since > time.Second+slack+time.Duration(s.breaker.threshold/few)*round {
			s.fail("still closed in an outage")
		}
	case !down && s.breaker.state != Closed:
		if since > s.breaker.maximum+slack {
			s.fail("not closed while the API works")
		}
	}
}

func (s *simulation) fail(what string) {
	s.t.Helper()
	s.t.Fatalf("%s for %s: %s; %d slots, %s a call, %.0f%% of the sessions fail %d times, %d results left it open, %d retries",
		what, s.now.Sub(s.changed), s.breaker, s.slots, s.latency, 100*s.failing, s.times, s.ambiguous, len(s.due))
}

// Whatever mix of sessions fails, and whatever outages come and go: the breaker opens within a second of the 20th
// failure, and after the recovery it stays open no longer than a probe interval and the retries that are due.
func TestBreakerInRandomOutages(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		s := newSimulation(t, seed)
		if s.run(); s.breaker.state != Closed {
			t.Errorf("seed %d: %s at the end", seed, s.breaker)
		}
	}
}

// Sessions that fail by themselves open nothing: one, 20% of them, or a crowd of which all retries are due at a time. And a crowd
// does not keep it open after an outage.
func TestBreakerWithFailingSessions(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		s := newSimulation(t, seed)
		s.failing, s.times, s.outages = 0.2, 1_000_000, nil
		s.end = s.now.Add(time.Minute)
		s.crowd(20_000, s.now.Add(10*time.Second))
		if s.run(); s.breaker.generation != 0 {
			t.Errorf("seed %d: opened: %s", seed, s.breaker)
		}
		s = newSimulation(t, seed)
		s.failing = 0.2
		for _, o := range s.outages {
			s.crowd(20_000, o.to)
		}
		s.run()
	}
}

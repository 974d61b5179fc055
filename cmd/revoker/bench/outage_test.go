package bench

import (
	"slices"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// BenchmarkOutage lets the API answer 503 for a while in mid-run, and once SERVER_ERROR. From its ledger it takes
//
//	calls-in-outage  all that were answered so
//	calls-beyond     by how many these are more than the calls in flight when it began; the target is 40,
//	                 and 100 with SERVER_ERROR, which may be the sessions' own fault
//	calls-after-503  those of them that began after the first such answer was sent, which should be as few
//	s-to-first       from the recovery to the first OK: what was left of the probe interval
//	s-to-full        from the recovery to the end of the first 200 ms with nine tenths of the OKs that such a time had before;
//	                 the target is 5 s after 20 s, and 2 s after 3 s
//
// The API answers calls in flight with OK when an outage begins, and each slot makes one more before anybody can know of it.
// Calls come in bunches: calls-beyond is high by up to 64 where the outage begins between two of them, and calls-after-503, which
// does not depend on that moment, tells more. Read both.
//
// 20 failures open the breaker, and a probe takes one call. It probes 1, 3, 7, 12, 17 and 22 s after the beginning, so that what
// limits the recovery is when the API comes back: an outage of 3 s ends right before a probe, which is lucky, those of
// 1.2 s and 17.5 s right after one, which is the worst that can happen with an interval of 2 s and with the longest one.
func BenchmarkOutage(b *testing.B) {
	const second = time.Second
	for _, c := range []struct {
		name    string
		lasting time.Duration
		answer  sim.Kind
	}{
		{"1.2s", 1200 * time.Millisecond, sim.Unavailable},
		{"3s", 3 * second, sim.Unavailable},
		{"17.5s", 17*second + second/2, sim.Unavailable},
		{"20s", 20 * second, sim.Unavailable},
		{"20s/SERVER_ERROR", 20 * second, sim.ServerError},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				o, calls := goThrough(b, c.lasting, c.answer)
				all, inFlight, late := o.wasted(calls)
				first, full, ok := o.recovery(calls)
				if !ok {
					b.Fatal("the throughput never came back")
				}
				noTime(b)
				b.ReportMetric(float64(all), "calls-in-outage")
				b.ReportMetric(float64(all-inFlight), "calls-beyond")
				b.ReportMetric(float64(late), "calls-after-503")
				b.ReportMetric(first.Seconds(), "s-to-first")
				b.ReportMetric(full.Seconds(), "s-to-full")
			}
		})
	}
}

// goThrough lets a worker meet an outage at full throughput, and returns every call that the API had.
func goThrough(b *testing.B, lasting time.Duration, answer sim.Kind) (o outage, calls []sim.Call) {
	b.Helper()
	o.answer = answer
	const n, before = 25_000, 6_000 // two seconds' work
	s := testsite.New(b, testsite.Simulator{Latency: apiLatency})
	server := s.StartNATS()
	setUp(s, n)
	p := s.StartWorker(plainly(64)...)
	testproc.WaitFor(b, "full throughput", func() bool { return s.Calls() >= before })
	o.from = time.Now()
	s.Control("POST", "/sim/outage", sim.OutageRequest{Answer: sim.Answer{Kind: answer}})
	time.Sleep(lasting)
	s.Control("DELETE", "/sim/outage", nil)
	o.to = time.Now()
	run(s, p, n)
	server.Kill()
	for _, session := range s.Sessions() {
		calls = append(calls, session.Calls...)
	}
	return o, calls
}

// outage is a time in which the API answered all calls so.
type outage struct {
	from, to time.Time
	answer   sim.Kind
}

// wasted counts the calls that an outage answered, those that were in flight when it began, and of the former those that began
// although its first answer was out.
func (o outage) wasted(calls []sim.Call) (all, inFlight, late int) {
	var failed []sim.Call
	for _, call := range calls {
		if call.Kind == o.answer {
			failed = append(failed, call)
		}
		if !call.Began.After(o.from) && call.Ended.After(o.from) {
			inFlight++
		}
	}
	if len(failed) == 0 {
		return 0, inFlight, 0
	}
	first := slices.MinFunc(failed, func(a, b sim.Call) int { return a.Ended.Compare(b.Ended) }).Ended
	for _, call := range failed {
		if call.Began.After(first) {
			late++
		}
	}
	return len(failed), inFlight, late
}

// recovery is how long after an outage the first call was OK again, and the throughput nine tenths of the median before.
func (o outage) recovery(calls []sim.Call) (first, full time.Duration, ok bool) {
	const window, reference = 200 * time.Millisecond, 8
	before, after := make([]int, reference), map[time.Duration]int{}
	first, last := time.Duration(-1), time.Duration(0)
	for _, call := range calls {
		since, until := call.Ended.Sub(o.to), o.from.Sub(call.Ended)
		switch {
		case call.Kind != sim.OK:
		case until >= 0 && until < reference*window:
			before[until/window]++
		case since >= 0:
			after[since/window]++
			if last = max(last, since/window); first < 0 || since < first {
				first = since
			}
		}
	}
	slices.Sort(before)
	for w := range last + 1 {
		if median := before[reference/2]; median > 0 && 10*after[w] >= 9*median {
			return first, (w + 1) * window, true
		}
	}
	return first, 0, false
}

// TestOutageFigures: an OK each millisecond before an outage of a second and one that is in flight then; four calls in it, two of
// which begin after its first answer; from 700 ms after it on half of the rate, and all of it from 1,200 ms on.
func TestOutageFigures(t *testing.T) {
	t.Parallel()
	const millisecond = time.Millisecond
	from := time.Now()
	o := outage{from, from.Add(time.Second), sim.Unavailable}
	var calls []sim.Call
	add := func(kind sim.Kind, ended time.Duration) {
		calls = append(calls, sim.Call{Began: from.Add(ended - 20*millisecond), Ended: from.Add(ended), Kind: kind})
	}
	for ended := -3 * time.Second; ended < 0; ended += millisecond {
		add(sim.OK, ended)
	}
	add(sim.OK, 10*millisecond)
	for _, ended := range []time.Duration{30, 50, 51, 500} {
		add(sim.Unavailable, ended*millisecond)
	}
	for ended := 1700 * millisecond; ended < 2200*millisecond; ended += 2 * millisecond {
		add(sim.OK, ended)
	}
	if first, _, ok := o.recovery(calls); ok || first != 700*millisecond {
		t.Errorf("half of the rate was taken for full throughput: %v; first OK after %s, want 700ms", ok, first)
	}
	for ended := 2200 * millisecond; ended < 4*time.Second; ended += millisecond {
		add(sim.OK, ended)
	}
	if _, full, ok := o.recovery(calls); full != 1400*millisecond || !ok {
		t.Errorf("full throughput after %s, %v; want 1.4s", full, ok)
	}
	if all, inFlight, late := o.wasted(calls); all != 4 || inFlight != 1 || late != 2 {
		t.Errorf("%d calls in the outage, %d in flight before, %d late; want 4, 1 and 2", all, inFlight, late)
	}
	if _, _, ok := o.recovery(nil); ok {
		t.Error("full throughput without a call")
	}
}

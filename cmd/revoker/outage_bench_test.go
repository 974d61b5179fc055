package main

import (
	"slices"
	"testing"
	"time"

	"revoker/worker/authlete/sim"
)

// BenchmarkOutage lets the API answer 503 for a while in mid-run. From its ledger it takes
//
//	calls-in-outage  all that were answered 503
//	calls-beyond     those of them that began after the first 503 was sent, when nobody could know yet; the target is 40
//	s-to-first       from the recovery to the first OK: what was left of the probe interval
//	s-to-full        from the recovery to the end of the first 200 ms with nine tenths of the OKs that such a time had before;
//	                 the target is 5 s after 20 s, and 2 s after 3 s
//
// 20 failures open the breaker, and a probe takes one call. It probes 1, 3, 7, 12, 17 and 22 s after the beginning, so that what
// limits the recovery is when the API comes back: an outage of 3 s ends right before a probe, which is lucky, those of
// 1.2 s and 17.5 s right after one, which is the worst that can happen with an interval of 2 s and with the longest one.
func BenchmarkOutage(b *testing.B) {
	const second = time.Second
	for _, lasting := range []time.Duration{1200 * time.Millisecond, 3 * second, 17*second + second/2, 20 * second} {
		b.Run(lasting.String(), func(b *testing.B) {
			for b.Loop() {
				o, calls := goThrough(b, lasting)
				all, beyond := o.wasted(calls)
				first, full, ok := o.recovery(calls)
				if !ok {
					b.Fatal("the throughput never came back")
				}
				noTime(b)
				b.ReportMetric(float64(all), "calls-in-outage")
				b.ReportMetric(float64(beyond), "calls-beyond")
				b.ReportMetric(first.Seconds(), "s-to-first")
				b.ReportMetric(full.Seconds(), "s-to-full")
			}
		})
	}
}

// goThrough lets a worker meet an outage at full throughput, and returns every call that the API had.
func goThrough(b *testing.B, lasting time.Duration) (o outage, calls []sim.Call) {
	b.Helper()
	const n, before = 25_000, 6_000 // two seconds' work
	s := newSite(b, simulator{Latency: apiLatency})
	server := s.startNATS()
	s.setUp(n)
	p := s.startWorker(plainly(64)...)
	waitFor(b, "full throughput", func() bool { return s.calls() >= before })
	o.from = time.Now()
	s.control("POST", "/sim/outage", sim.OutageRequest{Answer: sim.Answer{Kind: sim.Unavailable}})
	time.Sleep(lasting)
	s.control("DELETE", "/sim/outage", nil)
	o.to = time.Now()
	s.run(p, n)
	server.kill()
	for _, session := range s.sessions() {
		calls = append(calls, session.Calls...)
	}
	return o, calls
}

// outage is a time in which the API answered 503.
type outage struct{ from, to time.Time }

// wasted counts the calls that an outage answered, and those that began although its first answer was out.
func (o outage) wasted(calls []sim.Call) (all, beyond int) {
	var failed []sim.Call
	for _, call := range calls {
		if call.Kind == sim.Unavailable {
			failed = append(failed, call)
		}
	}
	if len(failed) == 0 {
		return 0, 0
	}
	first := slices.MinFunc(failed, func(a, b sim.Call) int { return a.Ended.Compare(b.Ended) }).Ended
	for _, call := range failed {
		if call.Began.After(first) {
			beyond++
		}
	}
	return len(failed), beyond
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

// TestOutageFigures: one OK a millisecond before an outage of a second; in it four calls, two of which begin after its first answer,
// 30 ms from its beginning; from 700 ms after it on half of the rate, and all of it from 1,200 ms on.
func TestOutageFigures(t *testing.T) {
	t.Parallel()
	const millisecond = time.Millisecond
	from := time.Now()
	o := outage{from, from.Add(time.Second)}
	call := func(kind sim.Kind, ended time.Duration) sim.Call {
		return sim.Call{Began: from.Add(ended - 20*millisecond), Ended: from.Add(ended), Kind: kind}
	}
	var calls []sim.Call
	for ended := -3 * time.Second; ended < 4*time.Second; ended += millisecond {
		half := ended >= 1700*millisecond && ended < 2200*millisecond && ended%(2*millisecond) == 0
		if ended < 0 || half || ended >= 2200*millisecond {
			calls = append(calls, call(sim.OK, ended))
		}
	}
	if _, _, ok := o.recovery(calls[:3300]); ok {
		t.Error("half of the rate was taken for full throughput")
	}
	for _, ended := range []time.Duration{30, 50, 51, 500} {
		calls = append(calls, call(sim.Unavailable, ended*millisecond))
	}
	if all, beyond := o.wasted(calls); all != 4 || beyond != 2 {
		t.Errorf("%d calls in the outage, %d beyond; want 4 and 2", all, beyond)
	}
	first, full, ok := o.recovery(calls)
	if want := 1400 * millisecond; first != 700*millisecond || full != want || !ok {
		t.Errorf("first OK after %s, full after %s, %v; want 700ms and %s", first, full, ok, want)
	}
	if all, beyond := o.wasted(nil); all != 0 || beyond != 0 {
		t.Errorf("%d and %d calls of none", all, beyond)
	}
	if _, _, ok := o.recovery(nil); ok {
		t.Error("full throughput without a call")
	}
}

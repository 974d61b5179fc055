package bench

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

const (
	servers     = 16 // calls that the API serves at a time; the others queue
	serviceTime = 10 * time.Millisecond
	otherRate   = 50 // requests a second of the API's other users
)

// BenchmarkOthers is what the API's other users wait while workers with 256 slots each work off a backlog, against what the same
// users wait without them in the same run. All wait for the same 16 servers. The first second of the workers does not count.
//
//	p50-times-alone, p99-times-alone  the targets are 1.5 and 3, and a p50 of 2 for four workers
//	of-left                           events/s of what 16 servers can do in 10 ms each beyond the others' 50/s; the target is 0.9
//	times-bare-calls                  events/s against 256 goroutines that call without a limit, beside the same others
func BenchmarkOthers(b *testing.B) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				besideOthers(b, workers)
			}
		})
	}
}

func besideOthers(b *testing.B, workers int) {
	b.Helper()
	const concurrency, n = 256, 20_000
	s := testsite.New(b, testsite.Simulator{Latency: serviceTime})
	server := s.StartNATS()
	s.Control("PUT", "/sim/capacity", sim.Capacity{Servers: servers})
	setUp(s, n)
	stop, answered := askOthers(s)
	testproc.WaitFor(b, "what the others wait without revoker", func() bool { return answered() >= 10*otherRate })
	alone := waits(stop(), time.Time{}, time.Now())

	s.Says(0, nil, []string{"pause"})
	var all []*testproc.Process
	for range workers {
		all = append(all, s.StartWorker(plainly(concurrency)...))
	}
	stop, _ = askOthers(s)
	s.Says(0, nil, []string{"resume"})
	l := run(s, all[0], n)
	for _, p := range all[1:] {
		finish(p, n)
	}
	calls := okCalls(s)
	beside := waits(stop(), calls[0].Began.Add(time.Second), calls[n-1].Ended)
	server.Kill()

	stop, _ = askOthers(s)
	callAlone(s, concurrency, n)
	stop()
	noTime(b)
	b.ReportMetric(ms(quantile(alone, 0.5)), "ms-p50-alone")
	b.ReportMetric(ms(quantile(alone, 0.99)), "ms-p99-alone")
	b.ReportMetric(ms(quantile(beside, 0.5))/ms(quantile(alone, 0.5)), "p50-times-alone")
	b.ReportMetric(ms(quantile(beside, 0.99))/ms(quantile(alone, 0.99)), "p99-times-alone")
	b.ReportMetric(l.rate/(servers/serviceTime.Seconds()-otherRate), "of-left")
	b.ReportMetric(l.rate/secondCalls(s), "times-bare-calls")
}

// wait is one request of another user.
type wait struct {
	asked time.Time
	took  time.Duration
}

// waits are those of the requests that were made between two moments.
func waits(all []wait, from, to time.Time) (took []time.Duration) {
	for _, w := range all {
		if w.asked.After(from) && w.asked.Before(to) {
			took = append(took, w.took)
		}
	}
	return took
}

// askOthers asks the API as its other users do, otherRate times a second, whether or not the last answer is there. answered is how
// many answers came so far. stop ends it and returns what they waited.
func askOthers(s *testsite.Site) (stop func() []wait, answered func() int) {
	s.T.Helper()
	var (
		mu      sync.Mutex
		all     []wait
		working sync.WaitGroup
		ended   = make(chan struct{})
		client  = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * otherRate}}
	)
	ask := func() {
		began := time.Now()
		answer, err := client.Get(s.APIURL + "/sim/other")
		if err != nil {
			s.T.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		mu.Lock()
		defer mu.Unlock()
		all = append(all, wait{began, time.Since(began)})
	}
	working.Go(func() {
		ticker := time.NewTicker(time.Second / otherRate)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				working.Go(ask)
			}
		}
	})
	answered = func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(all)
	}
	return sync.OnceValue(func() []wait {
		close(ended)
		working.Wait()
		client.CloseIdleConnections()
		return all
	}), answered
}

// BenchmarkSlowerAPI lets the latency of all calls rise from 20 to 100 ms, whatever the load: it is no queue, so the limit of 64 must
// not fall for long.
//
//	of-slots  events/s from 30 to 40 s after it, of 64 slots / 100 ms; the target is 0.9
//	s-to-0.9  until the first second with 0.9 of that ended; the target is 30. It depends on when the worker next measures the latency
//	          without a queue, which it does every 10 s: add -count 3
func BenchmarkSlowerAPI(b *testing.B) {
	const (
		concurrency, before, n = 64, 30_000, 80_000
		slower                 = 100 * time.Millisecond
		ideal                  = concurrency * int(time.Second/slower)
		from, lasting          = 30 * time.Second, 10 * time.Second
	)
	for b.Loop() {
		s := testsite.New(b, testsite.Simulator{Latency: apiLatency})
		s.StartNATS()
		setUp(s, n)
		p := s.StartWorker(plainly(concurrency)...)
		workOff(s, before)
		rose := time.Now()
		s.Control("POST", "/sim/outage", sim.OutageRequest{Answer: sim.Answer{Delay: slower - apiLatency}})
		time.Sleep(from + lasting)
		finish(p, before)
		calls, late := okCalls(s), 0
		for _, call := range calls {
			if since := call.Ended.Sub(rose); since >= from && since < from+lasting {
				late++
			}
		}
		noTime(b)
		b.ReportMetric(float64(late)/lasting.Seconds()/float64(ideal), "of-slots")
		b.ReportMetric(reached(calls, rose, ideal*9/10), "s-to-0.9")
	}
}

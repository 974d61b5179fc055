package admission

import (
	"math"
	"runtime/metrics"
	"time"
)

const (
	// schedulingMetric is how long goroutines waited for a processor.
	schedulingMetric = "/sched/latencies:seconds"
	// localInterval is how often it is read.
	localInterval = 250 * time.Millisecond
	// wakeUps is how often the goroutines of one call are woken, at least: to write, to read, and to go on.
	wakeUps = 3
	// lookInterval is how often the clock is looked at while calls are made, and lookGrain how late a look is that comes in time.
	lookInterval = 3 * time.Millisecond
	lookGrain    = time.Millisecond
)

// localDelay tells how much of a call's time goes by because this process waits for a CPU. That must not be taken for a queue at
// the API. Its methods may not run at the same time.
type localDelay struct {
	sample []metrics.Sample
	counts []uint64
	read   time.Time
	delay  time.Duration

	due     time.Time // of the next look at the clock; zero while none is planned
	longest time.Duration
}

func newLocalDelay() *localDelay {
	return &localDelay{sample: []metrics.Sample{{Name: schedulingMetric}}}
}

// plan is for a look at the clock that is planned. The operating system may take the CPU away from the whole process, which the
// runtime does not see. Then the look comes late.
func (l *localDelay) plan(now time.Time) { l.due = now.Add(lookInterval) }

// looked is for a look that came.
func (l *localDelay) looked(now time.Time) {
	l.longest = max(l.longest, now.Sub(l.due)-lookGrain)
	l.due = time.Time{}
}

// stall is the longest time since it was last asked for that this process stood still.
func (l *localDelay) stall(now time.Time) time.Duration {
	longest := l.longest
	if !l.due.IsZero() && now.After(l.due) {
		longest = max(longest, now.Sub(l.due)-lookGrain)
		l.due = now // the rest will be told by the look
	}
	l.longest = 0
	return longest
}

// mean is what a call waited on average in the last interval. Callers take turns.
func (l *localDelay) mean(now time.Time) time.Duration {
	if now.Sub(l.read) < localInterval {
		return l.delay
	}
	l.read = now
	metrics.Read(l.sample)
	if l.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := l.sample[0].Value.Float64Histogram()
	n, sum := 0.0, 0.0
	for i, count := range h.Counts {
		fresh := count
		if l.counts != nil {
			fresh -= l.counts[i]
		}
		low, high := h.Buckets[i], h.Buckets[i+1]
		if fresh == 0 || math.IsInf(low, 0) || math.IsInf(high, 0) {
			continue
		}
		n += float64(fresh)
		sum += float64(fresh) * (low + high) / 2
	}
	l.counts = append(l.counts[:0], h.Counts...)
	l.delay = 0
	if n > 0 {
		l.delay = time.Duration(wakeUps * sum / n * float64(time.Second))
	}
	return l.delay
}

package admission

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// What this process waits for a CPU is estimated a moment late: it is taken off when calls are as fast as ever again. That must not
// pass for an API that became faster, or calls would seem to queue from then on.
func TestLimitIsNotMisledByALateEstimate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ call, local time.Duration }{
		{10 * time.Millisecond, 3 * time.Millisecond},
		{20 * time.Millisecond, 10 * time.Millisecond},
		{20 * time.Millisecond, 30 * time.Millisecond},
	} {
		l := newLoad(1, 64)
		each := c.call
		l.api = func() (time.Duration, Ended) { return each, Answered }
		l.run(2 * time.Second) // no floor is measured from now on
		each, l.local = c.call+c.local, c.local
		l.run(localInterval)
		each = c.call
		l.run(localInterval)
		l.local = 0
		if part := l.rate(time.Second) / (64 / c.call.Seconds()); part < 0.95 {
			t.Errorf("calls of %s of which %s were taken off: %.2f of the throughput in the second after", c.call, c.local, part)
		}
	}
}

// The runtime tells how long goroutines wait for a processor.
func TestLocalDelayIsMeasured(t *testing.T) {
	t.Parallel()
	l := newLocalDelay()
	l.mean(time.Now())
	var busy sync.WaitGroup
	for range 10 * runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for range 1000 {
				runtime.Gosched()
			}
		})
	}
	busy.Wait()
	if d := l.mean(time.Now().Add(localInterval)); d <= 0 {
		t.Errorf("%s", d)
	}
}

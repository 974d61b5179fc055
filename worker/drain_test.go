package worker_test

import (
	"testing"
	"time"

	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// Calls that can finish within the drain timeout do, and nothing is left half done.
func TestADrainLetsCallsFinish(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Latency: 300 * time.Millisecond, Jitter: 300 * time.Millisecond})
	b.cfg.Concurrency = 100
	b.setup()
	b.publishSession(sessions("s", 300)...)
	stop := b.start()
	b.waitFor("calls in flight", func() bool { return b.api.Calls() >= 100 })
	stop()
	made := b.api.Calls()
	cut, done := 0, 0
	for _, s := range b.api.Sessions() {
		for _, c := range s.Calls {
			if c.Kind == sim.Hang { // the client went away
				cut++
			} else {
				done++
			}
		}
	}
	if cut != 0 || done != made {
		t.Errorf("of %d calls %d finished and %d were cut", made, done, cut)
	}
	b.waitFor("settlement of all that was called", func() bool {
		info := b.info() // what was delivered and not begun is handed back, and waits for its next delivery
		return info.NumAckPending+int(info.NumPending) == 300-done
	})
}

// What cannot finish is handed back at once: another worker has it long before the ack wait is over.
func TestADrainHandsBackTheRestAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	b.cfg.AckWait, b.cfg.DrainTimeout, b.cfg.RequestTimeout = 10*time.Minute, 100*time.Millisecond, time.Minute
	b.api.Outage(sim.Answer{Kind: sim.Hang}, 0)
	stop := b.start()
	ids := sessions("s", 50)
	b.publishSession(ids...)
	b.waitFor("calls in flight", func() bool { return b.api.Calls() >= 50 })
	stop()
	for _, id := range ids {
		if o := b.outcomes(id); len(o) != 1 || o[0] != worker.Interrupted {
			t.Fatalf("%s: %v", id, o)
		}
	}
	b.api.Recover()
	b.start()
	b.waitDone() // within testTimeout, far below the ack wait
	for _, id := range ids {
		if !b.revoked(id) {
			t.Errorf("%s is not revoked", id)
		}
	}
}

// A drain with nothing in work waits for its last pull alone, and an event of that moment goes to another worker.
func TestADrainStrandsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	b.cfg.AckWait = 10 * time.Minute
	for round := range 5 {
		stop := b.start()
		b.waitFor("a waiting pull", func() bool { return b.info().NumWaiting > 0 })
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop()
		}()
		ids := sessions("round-"+string(rune('a'+round)), 40)
		b.publishSession(ids...)
		<-stopped
	}
	b.start()
	b.waitDone() // within testTimeout, far below the ack wait
	if n := len(b.api.Sessions()); n != 200 {
		t.Errorf("%d sessions were called, want 200", n)
	}
}

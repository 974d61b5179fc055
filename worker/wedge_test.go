package worker_test

import (
	"strings"
	"testing"
	"time"

	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// A slot that does not come back is told, once it has taken longer than all its waits together may. The others go on.
func TestAWedgedSlotIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	b.cfg.Concurrency = 3
	wedged, release := make(chan struct{}), make(chan struct{})
	b.observe = func(s worker.Settlement) {
		if s.Session == "wedge" {
			close(wedged)
			<-release
		}
	}
	b.start()
	b.publishSession("wedge")
	<-wedged
	others := sessions("s", 20)
	b.publishSession(others...)
	b.waitDone()
	if stuck := b.worker.Stuck(); stuck != "" {
		t.Errorf("too early: %s", stuck)
	}
	// Other loops promise to come round too, but keep that; at another time than theirs they are late.
	// A settlement is sent before its slot rests, so the server may know it first.
	told := ""
	b.waitFor("word of the one that is wedged", func() bool {
		told = b.worker.SlotsAt(time.Now().Add(worker.SlotPromise(b.cfg) + time.Second))
		return strings.Contains(told, "1 of 3 slots stand still")
	})
	if !strings.Contains(told, "REVOKER_REQUEST_TIMEOUT") {
		t.Errorf("got %q", told)
	}
	close(release)
	b.waitFor("the slot's return", func() bool { return b.worker.SlotsAt(time.Now().Add(time.Hour)) == "" })
	for _, id := range others {
		if !b.revoked(id) {
			t.Errorf("%s is not revoked", id)
		}
	}
}

// A worker that makes calls, looks past a full consumer and asks for opinions leaves no promise behind.
func TestNoSlotPromisesAnythingAtRest(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Rule: func(id string, attempt int) sim.Answer {
		if strings.HasPrefix(id, "bad") && attempt < 4 {
			return sim.Answer{Kind: sim.ServerError}
		}
		return sim.Answer{Kind: sim.OK}
	}})
	b.cfg.MaxAckPending, b.cfg.BreakerFailures = 30, 5
	b.setup()
	b.publishSession(sessions("bad", 60)...)
	b.publishSession(sessions("good", 60)...)
	b.start()
	b.waitDone()
	b.waitFor("rest", func() bool { return b.worker.SlotsAt(time.Now().Add(time.Hour)) == "" })
}

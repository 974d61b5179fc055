package worker

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestAHeartbeatIsLateOnceItsPromiseIsBroken(t *testing.T) {
	t.Parallel()
	var p heartbeat
	now := time.Now()
	if p.late(now.Add(time.Hour)) != 0 {
		t.Error("late without a promise")
	}
	p.Beat(time.Second)
	if late := p.late(now.Add(heartbeatGrace)); late != 0 {
		t.Errorf("late by %s within the grace", late)
	}
	if p.late(now.Add(heartbeatGrace+time.Minute)) == 0 {
		t.Error("not late after it")
	}
	p.Rest()
	if p.late(now.Add(time.Hour)) != 0 {
		t.Error("late at rest")
	}
}

// A loop that does not come round has stopped for good; one that waits for a probe's result has not.
func TestALoopThatStandsStillIsTold(t *testing.T) {
	t.Parallel()
	w := &Worker{pulling: [2]*heartbeat{{}, {}}, renewer: newRenewer(func() time.Duration { return time.Hour })}
	later := time.Now().Add(time.Second + 2*heartbeatGrace)
	if stuck := w.stuck(later); stuck != "" {
		t.Errorf("before it began: %s", stuck)
	}
	w.pulling[0].Beat(time.Second)
	if stuck := w.stuck(later); !strings.Contains(stuck, "pulling events has stood still for") {
		t.Errorf("got %q", stuck)
	}
	if stuck := w.Stuck(); stuck != "" {
		t.Errorf("too early: %s", stuck)
	}
	w.pulling[0].Rest()
	if stuck := w.stuck(later); stuck != "" {
		t.Errorf("while it waits for something outside: %s", stuck)
	}
}

func TestRenewingThatStandsStillIsTold(t *testing.T) {
	t.Parallel()
	w := &Worker{pulling: [2]*heartbeat{{}, {}}, renewer: newRenewer(func() time.Duration { return time.Millisecond })}
	ctx, cancel := context.WithCancel(context.Background())
	w.renewer.mu.Lock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.renewer.run(ctx)
	}()
	for w.renewer.heartbeat.due.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if stuck := w.stuck(time.Now().Add(2 * heartbeatGrace)); !strings.Contains(stuck, "renewing ack waits has stood still") {
		t.Errorf("got %q", stuck)
	}
	w.renewer.mu.Unlock()
	cancel()
	<-ended
	if stuck := w.stuck(time.Now().Add(time.Hour)); stuck != "" {
		t.Errorf("after its end: %s", stuck)
	}
}

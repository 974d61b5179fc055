package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/events/admin"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

func TestWorkersAnswer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if workers, err := admin.Workers(eventstest.Deadline(t), h.Conn, h.Cfg); err != nil || len(workers) != 0 {
		t.Errorf("without any: %v %v", workers, err)
	}
	for _, name := range []string{"one", "two"} {
		events.Answer(h.Connect(t, false), h.Cfg, func() events.WorkerState { return events.WorkerState{Name: name, InFlight: 3, Breaker: "closed"} }, func() bool { return name == "two" }, nil)
	}
	other := h.Cfg
	other.Consumer = "another"
	events.Answer(h.Connect(t, false), other, func() events.WorkerState { return events.WorkerState{Name: "another's", Breaker: "closed"} }, func() bool { return true }, nil)
	testproc.WaitFor(t, "two answers", func() bool {
		workers, err := admin.Workers(eventstest.Deadline(t), h.Conn, h.Cfg)
		if err != nil || len(workers) > 2 {
			t.Fatalf("%v %v", workers, err)
		}
		return len(workers) == 2 && workers[0].InFlight == 3 && !workers[0].Released && !workers[1].Released
	})
	if released, err := admin.LetGo(eventstest.Deadline(t), h.Conn, h.Cfg); err != nil || released != 1 {
		t.Errorf("%d workers let go, want the one that held events back: %v", released, err)
	}
}

// Only the worker that handed the event back knows it.
func TestWorkersTellOfAnEvent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, name := range []string{"one", "two"} {
		events.Answer(h.Connect(t, false), h.Cfg, func() events.WorkerState { return events.WorkerState{Name: name, Breaker: "closed"} }, func() bool { return false },
			func(sequence uint64, mask string) *events.NextAttempt {
				if name != "two" || mask != events.SessionID("sess-8f14e45f").Mask() {
					return nil
				}
				return &events.NextAttempt{Attempts: int(sequence)}
			})
	}
	var next *events.NextAttempt
	testproc.WaitFor(t, "the answer", func() (known bool) {
		var err error
		if next, err = admin.NextAttempt(eventstest.Deadline(t), h.Conn, h.Cfg, 17, "sess-8f14e45f"); err != nil {
			t.Fatal(err)
		}
		return next != nil
	})
	if other, err := admin.NextAttempt(eventstest.Deadline(t), h.Conn, h.Cfg, 17, "another"); next.Attempts != 17 || other != nil || err != nil {
		t.Errorf("%+v, %+v, %v", next, other, err)
	}
}

// Whoever may subscribe can answer anything: what is no state is not counted, and nothing reaches a terminal that it obeys.
func TestStrangeAnswersOfWorkers(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	state, err := json.Marshal(events.WorkerState{Name: "\x1b[2Jone\n\n" + strings.Repeat("x", 5000), Breaker: "open", Reason: "a\x07b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.NC.Subscribe("revoker.workers.>", func(msg *nats.Msg) {
		for _, answer := range []string{"", "no JSON", `{"breaker":7}`, "{}", string(state)} {
			_ = msg.Respond([]byte(answer))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	workers, err := admin.Workers(eventstest.Deadline(t), h.Conn, h.Cfg)
	if err != nil || len(workers) != 1 {
		t.Fatalf("%v %v", workers, err)
	}
	if w := workers[0]; strings.ContainsAny(w.Name+w.Reason, "\x1b\x07\n") || len(w.Name) > 1024 {
		t.Errorf("%q %q", w.Name, w.Reason)
	}
}

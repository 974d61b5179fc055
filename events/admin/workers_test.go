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
		events.Answer(h.Connect(t, false), h.Cfg, func() events.WorkerState { return events.WorkerState{Name: name, InFlight: 3, Breaker: "closed"} }, func() bool { return name == "two" })
	}
	other := h.Cfg
	other.Consumer = "another"
	events.Answer(h.Connect(t, false), other, func() events.WorkerState { return events.WorkerState{Name: "another's", Breaker: "closed"} }, func() bool { return true })
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

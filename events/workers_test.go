package events_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/events"
)

func TestWorkersAnswer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if workers, err := h.conn.Workers(deadline(t), h.cfg); err != nil || len(workers) != 0 {
		t.Errorf("without any: %v %v", workers, err)
	}
	for _, name := range []string{"one", "two"} {
		h.connect(t, false).Answer(h.cfg, func() events.WorkerState { return events.WorkerState{Name: name, InFlight: 3, Breaker: "closed"} }, func() bool { return name == "two" })
	}
	other := h.cfg
	other.Consumer = "another"
	h.connect(t, false).Answer(other, func() events.WorkerState { return events.WorkerState{Name: "another's", Breaker: "closed"} }, func() bool { return true })
	waitFor(t, "two answers", func() bool {
		workers, err := h.conn.Workers(deadline(t), h.cfg)
		if err != nil || len(workers) > 2 {
			t.Fatalf("%v %v", workers, err)
		}
		return len(workers) == 2 && workers[0].InFlight == 3 && !workers[0].Released && !workers[1].Released
	})
	if released, err := h.conn.LetGo(deadline(t), h.cfg); err != nil || released != 1 {
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
	if _, err := h.nc.Subscribe("revoker.workers.>", func(msg *nats.Msg) {
		for _, answer := range []string{"", "no JSON", `{"breaker":7}`, "{}", string(state)} {
			_ = msg.Respond([]byte(answer))
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	workers, err := h.conn.Workers(deadline(t), h.cfg)
	if err != nil || len(workers) != 1 {
		t.Fatalf("%v %v", workers, err)
	}
	if w := workers[0]; strings.ContainsAny(w.Name+w.Reason, "\x1b\x07\n") || len(w.Name) > 1024 {
		t.Errorf("%q %q", w.Name, w.Reason)
	}
}

// Anybody may have published to the dead-letter subject: what is no reason of revoker's does not become one.
func TestStatusCountsForeignDeadLetters(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.setup(t)
	for i, reason := range []string{"CALLER_ERROR", "CALLER_ERROR", "INVALID_EVENT", "\x1b[2J", "", "404"} {
		msg := &nats.Msg{Subject: "dlq.session.ended", Header: nats.Header{"Revoker-Reason": {reason}, "Status": {"404"}}}
		if seq := h.publish(t, msg); seq != uint64(i+1) {
			t.Fatalf("sequence %d", seq)
		}
	}
	reader := events.NewStatusReader(h.conn, h.cfg)
	for range 2 { // the second time nothing has changed
		status, err := reader.Read(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		letters := status.DeadLetters
		if letters.Total != 6 || letters.Counted != 6 || letters.Reasons["CALLER_ERROR"] != 2 || letters.Reasons["INVALID_EVENT"] != 1 ||
			letters.Reasons[events.OtherGroups] != 3 {
			t.Errorf("%+v", letters)
		}
	}
	h.publish(t, &nats.Msg{Subject: "dlq.session.ended", Header: nats.Header{"Revoker-Reason": {"CALLER_ERROR"}}})
	if status, err := reader.Read(deadline(t)); err != nil || status.DeadLetters.Reasons["CALLER_ERROR"] != 3 {
		t.Errorf("%v %+v", err, status.DeadLetters)
	}
}

package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/events/admin"
	"revoker/events/internal/eventstest"
	"revoker/events/peer"
	"revoker/internal/testproc"
)

func TestWorkersAnswer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if workers, err := admin.Workers(eventstest.Deadline(t), h.Conn, h.Cfg); err != nil || len(workers) != 0 {
		t.Errorf("without any: %v %v", workers, err)
	}
	for _, name := range []string{"one", "two"} {
		peer.Answer(h.Connect(t, false), h.Cfg, peer.Answerer{
			State: func() peer.State { return peer.State{Name: name, InFlight: 3, Breaker: "closed"} },
			LetGo: func() bool { return name == "two" },
		})
	}
	other := h.Cfg
	other.Consumer = "another"
	peer.Answer(h.Connect(t, false), other, peer.Answerer{
		State: func() peer.State { return peer.State{Name: "another's", Breaker: "closed"} },
		LetGo: func() bool { return true },
	})
	testproc.WaitFor(t, "two answers", func() bool {
		workers, err := admin.Workers(eventstest.Deadline(t), h.Conn, h.Cfg)
		if err != nil || len(workers) > 2 {
			t.Fatalf("%v %v", workers, err)
		}
		return len(workers) == 2 && workers[0].InFlight == 3 && !workers[0].Released && !workers[1].Released
	})
	// It does not wait for long for the answer of a worker that is slow.
	testproc.WaitFor(t, "worker that let go what it held back", func() bool {
		released, err := admin.LetGo(eventstest.Deadline(t), h.Conn, h.Cfg)
		if err != nil || released > 1 {
			t.Fatalf("%d workers let go, want the one that held events back: %v", released, err)
		}
		return released == 1
	})
}

// A worker tells what it did if it is asked. One of an older version tells its state alone.
func TestWorkersTellWhatTheyDid(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	peer.Answer(h.Connect(t, false), h.Cfg, peer.Answerer{
		State: func() peer.State { return peer.State{Instance: "A\n", Name: "new", Breaker: "closed"} },
		History: func(seconds int) *peer.History {
			return &peer.History{Steps: []peer.Step{{Time: int64(seconds), Revoked: 7}}}
		},
	})
	const old = `{"name":"old","version":"v0","started":"2026-01-02T03:04:05Z","inFlight":1,"inHand":2,"breaker":"closed"}`
	if _, err := h.NC.Subscribe("revoker.workers.>", func(msg *nats.Msg) { _ = msg.Respond([]byte(old)) }); err != nil {
		t.Fatal(err)
	}
	if err := h.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	found := map[string]peer.State{}
	testproc.WaitFor(t, "both", func() bool {
		workers, err := admin.WorkersWithHistory(eventstest.Deadline(t), h.Conn, h.Cfg, 20)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range workers {
			found[w.Name] = w
		}
		return len(workers) == 2
	})
	if w := found["new"]; w.Key() != "A" || w.History == nil || len(w.History.Steps) != 1 || w.History.Steps[0].Time != 20 || w.History.Steps[0].Revoked != 7 {
		t.Errorf("%+v", w)
	}
	if w := found["old"]; w.Key() != "old 2026-01-02T03:04:05Z" || w.History != nil || w.InHand != 2 {
		t.Errorf("%+v", w)
	}
}

// Only the worker that handed the event back knows it.
func TestWorkersTellOfAnEvent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, name := range []string{"one", "two"} {
		peer.Answer(h.Connect(t, false), h.Cfg, peer.Answerer{
			State: func() peer.State { return peer.State{Name: name, Breaker: "closed"} },
			About: func(sequence uint64, mask string) *peer.NextAttempt {
				if name != "two" || mask != events.SessionID("sess-8f14e45f").Mask() {
					return nil
				}
				return &peer.NextAttempt{Attempts: int(sequence)}
			},
		})
	}
	var next *peer.NextAttempt
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
	state, err := json.Marshal(peer.State{Name: "\x1b[2Jone\n\n" + strings.Repeat("x", 5000), Breaker: "open", Reason: "a\x07b"})
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
	var workers []peer.State
	testproc.WaitFor(t, "the answer that is a state", func() bool { // none came in time if the machine paused
		if workers, err = admin.Workers(eventstest.Deadline(t), h.Conn, h.Cfg); err != nil || len(workers) > 1 {
			t.Fatalf("%v %v", workers, err)
		}
		return len(workers) == 1
	})
	if w := workers[0]; strings.ContainsAny(w.Name+w.Reason, "\x1b\x07\n") || len(w.Name) > 1024 {
		t.Errorf("%q %q", w.Name, w.Reason)
	}
}

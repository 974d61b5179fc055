package events_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

// historyOf is a history of n steps with full histograms.
func historyOf(n int) *events.WorkerHistory {
	history := &events.WorkerHistory{Now: time.Now(), Steps: []events.Step{}}
	for i := range n {
		step := events.Step{Time: int64(i) * events.StepSeconds}
		for bucket := range 640 {
			step.Took = append(step.Took, bucket, 1_000_000)
		}
		history.Steps = append(history.Steps, step)
	}
	return history
}

// What a worker tells fits into a message. Of a history that is too long it tells the newest part.
func TestALongHistoryIsCut(t *testing.T) {
	t.Parallel()
	for _, most := range []int{200, 10_000, 100_000, 512 << 10} {
		text, err := events.EncodeState(events.WorkerState{Name: "one", History: historyOf(180)}, most)
		if err != nil || len(text) > most {
			t.Fatalf("%d bytes of at most %d, %v", len(text), most, err)
		}
		var state events.WorkerState
		if err := json.Unmarshal(text, &state); err != nil || state.Name != "one" || state.History == nil {
			t.Fatalf("%v: %s", err, text)
		}
		steps := state.History.Steps
		if most > 100_000 && (len(steps) == 0 || steps[len(steps)-1].Time != 179*events.StepSeconds) {
			t.Errorf("in %d bytes: %d steps", most, len(steps))
		}
	}
	if text, err := events.EncodeState(events.WorkerState{History: historyOf(3)}, 512<<10); err != nil || len(text) < 3*640*8 {
		t.Errorf("a short history is cut: %d bytes, %v", len(text), err)
	}
}

// An account that may answer `revoker status`, and not the console pages of other workers, goes on to answer the one.
func TestAnInboxThatMayNotBeAnsweredToIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "admin", Password: "pw"}, &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{"_INBOX_operator.>"}},
	}})
	h := unconnected()
	h.Cfg.NATS = eventstest.As(s, "worker")
	asked := make(chan string, 100)
	events.Answer(h.Connect(t, false), h.Cfg, events.Answerer{
		State:   func() events.WorkerState { return events.WorkerState{Name: "one", Breaker: "closed"} },
		History: func(seconds int) *events.WorkerHistory { asked <- "history"; return historyOf(seconds) },
	})
	ask := func(prefix, request string) (answer events.WorkerState, answered bool) {
		t.Helper()
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("admin", "pw"), nats.CustomInboxPrefix(prefix))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		msg, err := nc.Request(events.WorkersSubject(h.Cfg), []byte(request), 250*time.Millisecond)
		if err != nil {
			return answer, false
		}
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			t.Fatal(err)
		}
		return answer, true
	}
	testproc.WaitFor(t, "an answer to the operator", func() bool { _, answered := ask("_INBOX_operator", ""); return answered })
	if _, answered := ask("_INBOX_worker", events.HistoryOf(1)); answered {
		t.Error("the server lets the account answer to any inbox")
	}
	if len(asked) != 1 {
		t.Fatalf("asked %d times for the history", len(asked))
	}
	testproc.WaitFor(t, "an answer to the operator, afterwards", func() bool {
		answer, answered := ask("_INBOX_operator", events.HistoryOf(2))
		return answered && len(answer.History.Steps) == 2
	})
	if answer, answered := ask("_INBOX_operator", ""); answered && answer.History != nil {
		t.Error("a history that nobody asked for")
	}
}

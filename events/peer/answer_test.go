package peer_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"revoker/events/internal/eventstest"
	"revoker/events/peer"
	"revoker/internal/testproc"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// historyOf is a history of n steps with full histograms.
func historyOf(n int) *peer.History {
	history := &peer.History{Now: time.Now(), Steps: []peer.Step{}}
	for i := range n {
		step := peer.Step{Time: int64(i) * peer.StepSeconds}
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
		text, err := peer.EncodeState(peer.State{Name: "one", History: historyOf(180)}, most)
		if err != nil || len(text) > most {
			t.Fatalf("%d bytes of at most %d, %v", len(text), most, err)
		}
		var state peer.State
		if err := json.Unmarshal(text, &state); err != nil || state.Name != "one" || state.History == nil {
			t.Fatalf("%v: %s", err, text)
		}
		steps := state.History.Steps
		if most > 100_000 && (len(steps) == 0 || steps[len(steps)-1].Time != 179*peer.StepSeconds) {
			t.Errorf("in %d bytes: %d steps", most, len(steps))
		}
	}
	if text, err := peer.EncodeState(peer.State{History: historyOf(3)}, 512<<10); err != nil || len(text) < 3*640*8 {
		t.Errorf("a short history is cut: %d bytes, %v", len(text), err)
	}
}

// An account that may answer `revoker status`, and not the console pages of other workers, goes on to answer the one.
func TestAnInboxThatMayNotBeAnsweredToIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "admin", Password: "pw"}, &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{"_INBOX_operator.>"}},
	}})
	h := eventstest.Unconnected()
	h.Cfg.NATS = eventstest.As(s, "worker")
	asked := make(chan string, 100)
	peer.Answer(h.Connect(t, false), h.Cfg, peer.Answerer{
		State:   func() peer.State { return peer.State{Name: "one", Breaker: "closed"} },
		History: func(seconds int) *peer.History { asked <- "history"; return historyOf(seconds) },
	})
	ask := func(prefix, request string) (answer peer.State, answered bool) {
		t.Helper()
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("admin", "pw"), nats.CustomInboxPrefix(prefix), nats.Timeout(eventstest.Timeout))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		msg, err := nc.Request(peer.Subject(h.Cfg), []byte(request), 250*time.Millisecond)
		if err != nil {
			return answer, false
		}
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			t.Fatal(err)
		}
		return answer, true
	}
	testproc.WaitFor(t, "an answer to the operator", func() bool { _, answered := ask("_INBOX_operator", ""); return answered })
	if _, answered := ask("_INBOX_worker", peer.HistoryOf(1)); answered {
		t.Error("the server lets the account answer to any inbox")
	}
	testproc.WaitFor(t, "question about the history", func() bool { return len(asked) > 0 })
	if len(asked) != 1 {
		t.Fatalf("asked %d times for the history", len(asked))
	}
	testproc.WaitFor(t, "an answer to the operator, afterwards", func() bool {
		answer, answered := ask("_INBOX_operator", peer.HistoryOf(2))
		return answered && len(answer.History.Steps) == 2
	})
	if answer, answered := ask("_INBOX_operator", ""); answered && answer.History != nil {
		t.Error("a history that nobody asked for")
	}
}

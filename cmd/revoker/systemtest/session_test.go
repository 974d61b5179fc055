package systemtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/sessions"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// receiptSubject is that of a session's receipt at a site.
func receiptSubject(id string) string {
	return "session.revoked." + events.SessionHash(testsite.ServiceID, events.SessionID(id))
}

// receipts are the subjects of all receipts.
func receipts(s *testsite.Site) map[string]bool {
	s.T.Helper()
	stream, err := s.JS.Stream(s.Deadline(), "SESSIONS_REVOKED")
	if err != nil {
		s.T.Fatal(err)
	}
	info, err := stream.Info(s.Deadline(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		s.T.Fatal(err)
	}
	found := map[string]bool{}
	for subject := range maps.Keys(info.State.Subjects) {
		found[subject] = true
	}
	return found
}

// A session whose event is acknowledged has its receipt, also if the worker is killed between the call and the acknowledgement.
func TestKillLosesNoReceipt(t *testing.T) {
	t.Parallel()
	const n = 3000
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	env := []string{"REVOKER_RECEIPTS=true", "REVOKER_ACK_WAIT=2s", "REVOKER_CONCURRENCY=16"}
	w := s.StartWorker(env...)
	s.Publish(0, n)
	for _, part := range []uint64{n / 4, n / 2} {
		testproc.WaitFor(t, "a part of the run", func() bool { return s.Info().Delivered.Stream > part })
		w.Signal(syscall.SIGKILL)
		w.Wait()
		w = s.StartWorker(env...)
	}
	s.WaitDone()
	found := receipts(s)
	for i := range n {
		if id := fmt.Sprintf("SECRET-session-%d", i); !found[receiptSubject(id)] {
			t.Errorf("%s has no receipt", id)
		}
	}
}

// askedAbout runs `revoker session` with the ID on standard input, as the operator, and returns what it printed.
func askedAbout(s *testsite.Site, code int, id string, args ...string) string {
	s.T.Helper()
	env := append(identity("operator"), "NATS_URL="+s.NATSURL, "AUTHLETE_SERVICE_ID="+testsite.ServiceID)
	p := testproc.Start(s.T, env, testproc.Binary(s.T, "revoker"), append([]string{"session"}, args...)...)
	fmt.Fprintln(p.Stdin, id)
	p.Stdin.Close()
	if got := p.Wait(); got != code {
		s.T.Errorf("session %s: exit code %d, want %d: %s", id, got, code, p.Stderr.String())
	}
	out := p.Stdout.String()
	if said := out + p.Stderr.String(); strings.Contains(said, "SECRET") || strings.Contains(strings.ToLower(said), "permission") {
		s.T.Errorf("session %s: %s", id, said)
	}
	return out
}

// What an operator's account of deploy/nats may read is enough for every answer.
func TestSessionSaysWhatBecameOfEach(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{Bad: 1, Cursed: 100}) // session 0 is rejected, session 99 fails
	startOneServer(s)
	const on = "REVOKER_RECEIPTS=true"
	s.Says(0, append(identity("setup"), on), []string{"setup"})
	w := s.StartWorker(append(identity("worker"), on, "REVOKER_RETRY_INITIAL_INTERVAL=1h", "REVOKER_RETRY_MAX_INTERVAL=1h")...)
	publishAs(s, "publisher", 0, 2)
	publishAs(s, "publisher", 99, 100)
	const rejected, revoked, failing, queued, nobody = "SECRET-session-0", "SECRET-session-1", "SECRET-session-99", "SECRET-session-200", "SECRET-session-300"
	testproc.WaitFor(t, "all three", func() bool { return s.Info().NumPending == 0 && s.Info().NumAckPending == 1 && len(receipts(s)) == 1 })
	var text string
	testproc.WaitFor(t, "word of the next attempt", func() bool {
		text = askedAbout(s, 3, failing)
		return strings.Contains(text, "waiting, second attempt in ")
	})
	if !strings.Contains(text, "the last answer was HTTP 500") {
		t.Error(text)
	}
	w.Signal(os.Interrupt)
	w.Wait()
	publishAs(s, "publisher", 200, 201)
	for id, c := range map[string]struct {
		code int
		want string
	}{
		revoked:  {0, ", 2 tokens, first attempt, "},
		rejected: {4, "dead letter 1: CALLER_ERROR A"},
		failing:  {3, "no worker tells"},
		queued:   {3, "queued since "},
		nobody:   {5, "no receipt since "},
	} {
		if text := askedAbout(s, c.code, id); !strings.Contains(text, c.want) {
			t.Errorf("%s: no %q in\n%s", id, c.want, text)
		}
		var answer sessions.Answer
		if err := json.Unmarshal([]byte(askedAbout(s, c.code, id, "--json")), &answer); err != nil || answer.Session != strings.TrimPrefix(receiptSubject(id), "session.revoked.") || len(answer.Unknown) != 0 {
			t.Errorf("%s: %v, %+v", id, err, answer)
		}
		byHash := askedAbout(s, c.code, "", "--hash", answer.Session, "--json")
		if states := []sessions.State{sessions.Revoked, sessions.DeadLetter, sessions.Delivered, sessions.Queued, sessions.NotFound}; !slices.Contains(states, answer.State) ||
			!strings.Contains(byHash, fmt.Sprintf(`"state": %q`, answer.State)) {
			t.Errorf("%s: %s, but by its hash %s", id, answer.State, byHash)
		}
	}
}

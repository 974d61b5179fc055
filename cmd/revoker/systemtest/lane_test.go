package systemtest

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/cmd/revoker/exit"
	"revoker/config"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// waiting is how many events wait in each lane.
func waiting(s *testsite.Site) (live, bulk int) {
	for _, l := range s.Status().Lanes {
		if l.Lane == config.Live {
			live = l.Backlog
		} else {
			bulk = l.Backlog
		}
	}
	return live, bulk
}

// Many sessions go to the bulk lane and a single one to the live lane, unless it is said otherwise.
func TestPublishChoosesTheLane(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"})
	for i, c := range []struct {
		args       []string
		lane       string
		live, bulk int // that wait then
	}{
		{[]string{"publish", sessionFile(t, 3)}, "bulk", 0, 3},
		{[]string{"publish", "--session", "a"}, "live", 1, 3},
		{[]string{"publish", "--lane", "live", sessionFile(t, 5)}, "live", 6, 3}, // none of the five is a duplicate of a bulk event
		{[]string{"publish", "--lane", "bulk", "--session", "b"}, "bulk", 6, 4},
	} {
		var summary struct{ Lane string }
		out := s.Says(0, nil, append(c.args, "--json"))
		if err := json.Unmarshal([]byte(out), &summary); err != nil || summary.Lane != c.lane {
			t.Errorf("%v: the lane is %q, %v in %s", c.args, summary.Lane, err, out)
		}
		testproc.WaitFor(t, "the events", func() bool { live, bulk := waiting(s); return live == c.live && bulk == c.bulk })
		if i > 0 && strings.Contains(out, "WARN") {
			t.Errorf("%v: %s", c.args, out)
		}
	}
	s.Says(2, nil, []string{"publish", "--lane", "fast", "--session", "a"}, "--lane: must be live or bulk")
	s.Says(78, []string{"REVOKER_SUBJECT=session.>"}, []string{"publish", "--session", "a"}, "REVOKER_BULK_SUBJECT: REVOKER_SUBJECT matches it")
	s.Says(1, []string{"REVOKER_BULK_SUBJECT="}, []string{"publish", "--lane", "bulk", "--session", "c"}, "there is no bulk lane: REVOKER_BULK_SUBJECT is empty")
	if out := s.Says(0, []string{"REVOKER_BULK_SUBJECT="}, []string{"publish", sessionFile(t, 6)}); strings.Contains(out, "WARN") {
		t.Errorf("one lane is as configured: %s", out)
	}
	s.Says(0, nil, []string{"status"}, "backlog            11 (live 7, bulk 4)", "bulk consumer      revoker-bulk on stream SESSIONS")
}

// An installation from before there was a bulk lane works on. Setup adds the lane while everything runs.
func TestSetupAddsTheBulkLane(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Bad: 100})
	s.StartNATS()
	oneLane := []string{"REVOKER_BULK_SUBJECT="}
	s.Says(0, oneLane, []string{"setup"}, "3 objects created")
	w := s.StartWorker()
	testproc.WaitFor(t, "word of setup", func() bool { return strings.Contains(w.Stderr.String(), "`revoker setup` adds it") })
	file := sessionFile(t, 3)
	const fallback = "publishing to the live lane"
	s.Says(0, nil, []string{"publish", file}, fallback, "revoker setup", "published 3, already there 0")
	s.Says(1, nil, []string{"publish", "--lane", "bulk", file}, "--lane bulk: there is no bulk lane", "`revoker setup` adds it")
	s.WaitDone()
	s.Says(0, nil, []string{"dlq", "replay", "1", "--yes"}, fallback, "replayed 1 of 1")
	s.Says(1, nil, []string{"dlq", "replay", "2", "--yes", "--lane", "bulk"}, "--lane bulk: there is no bulk lane")
	s.Says(0, nil, []string{"pause"}, "paused until it is resumed")
	s.Says(0, nil, []string{"resume"}, "resumed")
	for _, command := range []string{"pause", "resume"} {
		s.Says(1, nil, []string{command, "--lane", "bulk"}, "there is no bulk lane: `revoker setup` adds it, and REVOKER_BULK_CONSUMER names another")
	}
	s.Says(0, s.Env(), []string{"check"}, "consumer revoker-bulk", "it is missing", "2 warnings, 0 failed")

	s.Says(exit.CodeUsage, nil, []string{"setup"}, "session.ended, session.ended.bulk", "1 setting of what exists would change: use --yes")
	s.Says(0, nil, []string{"setup", "--yes"}, "1 object created, 1 setting changed")
	s.Says(0, nil, []string{"setup"}, "everything is as configured")
	s.Says(0, s.Env(), []string{"check"}, "0 warnings, 0 failed")
	if out := s.Says(0, nil, []string{"publish", sessionFile(t, 5)}, "published 5, already there 0"); strings.Contains(out, fallback) {
		t.Errorf("after setup:\n%s", out)
	}
	s.WaitDone() // the worker that runs takes up the lane
	if n := len(s.Sessions()); n != 5 {
		t.Errorf("%d sessions were called, want 5", n)
	}
	w.Signal(os.Interrupt)
	w.Wait() // after which its log is whole
	for text, want := range map[string]int{`"bulk_consumer"`: 0, "the bulk lane is there now, and is served": 1} {
		if n := strings.Count(w.Stderr.String(), text); n != want {
			t.Errorf("the worker says %q %d times, want %d", text, n, want)
		}
	}
}

// A pause of one lane leaves the other alone, and a logout does not wait behind a bulk event of the same session.
func TestAPausedLaneWaitsAlone(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.StartWorker()
	s.Says(0, nil, []string{"pause", "--lane", "bulk"})
	testproc.WaitFor(t, "the end of pulls that were open", func() bool { return s.BulkInfo().Paused && s.BulkInfo().NumWaiting <= 1 })
	s.Says(0, nil, []string{"publish", sessionFile(t, 10)}, "published 10")
	s.Says(0, nil, []string{"publish", "--session", "a", "--session", "SECRET-session-of-some-length-7"}, "published 2, already there 0")
	testproc.WaitFor(t, "the live sessions", func() bool { return len(s.Sessions()) == 2 })
	testproc.WaitFor(t, "the bulk events, none of which is delivered", func() bool { return s.BulkInfo().NumPending == 10 }) // it lags behind the stream
	s.Says(0, nil, []string{"resume", "--lane", "bulk"}, "the bulk lane: resumed")
	s.WaitDone()
	if n := len(s.Sessions()); n != 11 {
		t.Errorf("%d sessions were called, want 11", n)
	}
}

func TestALaneIsPausedAlone(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"})
	s.Says(0, nil, []string{"pause", "--lane", "bulk"}, "the bulk lane: paused until it is resumed")
	if s.Info().Paused || !s.BulkInfo().Paused {
		t.Errorf("live paused: %v, bulk paused: %v", s.Info().Paused, s.BulkInfo().Paused)
	}
	s.Says(0, nil, []string{"status"}, "revoker-bulk on stream SESSIONS, PAUSED until it is resumed")
	s.Says(0, s.Env(), []string{"check"}, "delivery, bulk lane", "the consumer is paused", "1 warning, 0 failed")
	s.Says(0, nil, []string{"resume", "--lane", "live"}, "the live lane: it was not paused")
	if !s.BulkInfo().Paused {
		t.Error("the bulk lane was resumed")
	}
	s.Says(0, nil, []string{"pause", "--json"}, `"lanes": [`)
	s.Says(0, nil, []string{"resume"}, "resumed")
	if s.Info().Paused || s.BulkInfo().Paused {
		t.Error("not both are resumed")
	}
	for _, command := range []string{"pause", "resume"} {
		s.Says(2, nil, []string{command, "--lane", "none"}, "--lane: must be live, bulk or all")
	}
}

// A crowd of replayed events must not delay live ones.
func TestReplayChoosesTheLane(t *testing.T) {
	t.Parallel()
	s := testsite.NewGraveyard(t)
	s.Bury(4)
	s.DLQ(0, "replay", "1-2", "--yes")
	s.DLQ(0, "replay", "3", "--yes", "--lane", "live")
	s.DLQ(2, "replay", "4", "--yes", "--lane", "all")
	stream, err := s.JS.Stream(s.Deadline(), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(s.Deadline(), jetstream.WithSubjectFilter(">"))
	if err != nil || info.State.Subjects["session.ended.bulk"] != 2 || info.State.Subjects["session.ended"] != 1 {
		t.Errorf("%v, %v", info, err)
	}
}

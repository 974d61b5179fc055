package systemtest

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/cmd/revoker/exit"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

func TestSetup(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup", "--dry-run"}, "+  consumer revoker       ack wait", "+  consumer revoker-bulk  ack wait", "4 objects to create, 0 settings to change; nothing was done")
	if _, err := s.JS.Stream(s.Deadline(), "SESSIONS"); err == nil {
		t.Error("a dry run created the stream")
	}
	s.Says(0, nil, []string{"setup"}, "4 objects created")
	if out, code := s.Say(nil, "setup"); code != 0 || out != "everything is as configured\n" {
		t.Errorf("the second time: exit code %d, %s", code, out)
	}
	longer := []string{"REVOKER_ACK_WAIT=30s"}
	s.Says(0, longer, []string{"setup", "--dry-run"}, "~  consumer revoker       ack wait  10s      30s (REVOKER_ACK_WAIT)", "~  consumer revoker-bulk  ack wait", "nothing was done")
	s.Says(exit.CodeUsage, longer, []string{"setup"}, "2 settings of what exists would change: use --yes")
	s.Says(exit.CodeUsage, longer, []string{"setup", "--json"}, "2 settings of what exists would change: use --yes")
	if got := s.Info().Config.AckWait; got != 10*time.Second {
		t.Errorf("ack wait %s without --yes", got)
	}
	var plan struct {
		Applied bool
		Objects []struct{ Differences []struct{ Setting string } }
	}
	out := s.Says(0, longer, []string{"setup", "--yes", "--json"})
	if err := json.Unmarshal([]byte(out), &plan); err != nil || !plan.Applied || plan.Objects[2].Differences[0].Setting != "ack wait" {
		t.Errorf("%v %+v", err, plan)
	}
	if got := s.Info().Config.AckWait; got != 30*time.Second {
		t.Errorf("ack wait %s", got)
	}
}

// Somebody else made the stream, for other subjects, in memory.
func TestSetupOfAStreamThatSomebodyElseMade(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	if _, err := s.JS.CreateStream(s.Deadline(), jetstream.StreamConfig{
		Name: "SESSIONS", Subjects: []string{"logins"}, Storage: jetstream.MemoryStorage, MaxAge: time.Hour,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.JS.Publish(s.Deadline(), "logins", []byte("one")); err != nil {
		t.Fatal(err)
	}
	s.Says(exit.CodeUsage, nil, []string{"setup"}, "2 settings of what exists would change", "nothing was done")
	s.Says(1, nil, []string{"setup", "--yes"}, "logins, session.ended", "1h0m0s", "! stream SESSIONS: storage is memory, not file", "REVOKER_STREAM",
		"3 objects created, 2 settings changed", "1 setting can't be changed in place")
	stream, err := s.JS.Stream(s.Deadline(), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	if info := stream.CachedInfo(); info.State.Msgs != 1 || info.Config.MaxAge != 7*24*time.Hour {
		t.Errorf("%+v", info)
	}
	s.StartWorker()
	s.Publish(0, 10)
	testproc.WaitFor(t, "revocations", func() bool { return len(s.Sessions()) == 10 })
}

func TestSetupAsksOnATerminal(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"}, "4 objects created")
	for _, c := range []struct {
		answer  string
		code    int
		ackWait time.Duration
	}{{"n\r", 1, 10 * time.Second}, {"\r", 1, 10 * time.Second}, {"y\r", 0, 20 * time.Second}} {
		p := testproc.StartOnTerminal(t, s.Env("REVOKER_ACK_WAIT=20s"), testproc.Binary(t, "revoker"), "setup")
		testproc.WaitFor(t, "the question", func() bool { return strings.Contains(p.Stdout.String(), "Change 2 settings of what exists? [y/N]") })
		_, _ = io.WriteString(p.Stdin, c.answer)
		if code := p.Wait(); code != c.code || s.Info().Config.AckWait != c.ackWait {
			t.Errorf("%q: exit code %d, ack wait %s:\n%s", c.answer, code, s.Info().Config.AckWait, p.Stdout.String())
		}
	}
}

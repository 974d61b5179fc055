package systemtest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

func wantIn(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

// What a person does who finds dead letters: look, look closer, replay; and the events fail again.
func TestDeadLettersAreListedShownAndReplayed(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Bad: 3})
	s.StartNATS()
	w := s.StartWorker()
	s.Publish(0, 100)
	s.WaitDone()
	if _, err := s.JS.Publish(s.Deadline(), "session.ended", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	s.WaitDone()

	out, _ := s.DLQ(0, "ls")
	wantIn(t, out, "4 dead letters in SESSIONS_DLQ\n\nREASON ", "\nCALLER_ERROR   A503201  3 ", "\nINVALID_EVENT  -        1 ", events.SessionID("SECRET-session-1").Mask())
	all := out
	out, _ = s.DLQ(0, "ls", "--reason", "invalid_event", "--limit", "0")
	wantIn(t, out, "1 dead letter in", "INVALID_EVENT")
	all += out
	out, _ = s.DLQ(0, "ls", "--session", events.SessionID("SECRET-session-2").Mask(), "--json")
	all += out
	var list struct {
		Total   int
		Groups  []struct{ Reason string }
		Letters []struct {
			Sequence         uint64
			HTTPStatus       int
			Reason, ReplayOf string
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.Total != 1 || len(list.Groups) != 1 || len(list.Letters) != 1 || list.Letters[0].HTTPStatus != 400 {
		t.Errorf("%v in %s", err, out)
	}
	if strings.Contains(all, "SECRET") {
		t.Errorf("a list shows a session ID:\n%s", all)
	}
	out, _ = s.DLQ(0, "show", fmt.Sprint(list.Letters[0].Sequence))
	wantIn(t, out, "SECRET-session-2", "A503201", "400", "SESSIONS/3 on session.ended", `{"sessionId":"SECRET-session-2"}`)

	out, _ = s.DLQ(0, "replay", "--code", "A503201", "--yes")
	wantIn(t, out, "3 dead letters in SESSIONS_DLQ to replay", "replayed 3 of 3 dead letters\n")
	testproc.WaitFor(t, "the events to fail again", func() bool { return s.Stored("SESSIONS_DLQ") == 4 })
	out, _ = s.DLQ(0, "ls", "--all", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	var earlier []string
	for _, letter := range list.Letters {
		if letter.Reason == events.ReasonCallerError {
			earlier = append(earlier, letter.ReplayOf)
		}
	}
	if slices.Sort(earlier); !slices.Equal(earlier, []string{"SESSIONS_DLQ/1", "SESSIONS_DLQ/2", "SESSIONS_DLQ/3"}) {
		t.Errorf("replays of %v", earlier)
	}
	for id, session := range s.Sessions() {
		want := 1
		if s.Sim.Kind(id) == sim.CallerError {
			want = 2
		}
		if len(session.Calls) != want {
			t.Errorf("%s was called %d times, want %d", id, len(session.Calls), want)
		}
	}
	w.Signal(os.Interrupt)
	w.Wait()
}

func TestHostileLettersAreHarmlessOnATerminal(t *testing.T) {
	t.Parallel()
	s := testsite.NewGraveyard(t)
	msg := &nats.Msg{Subject: "dlq.session.ended", Data: []byte("{\"sessionId\":\"x\u202ey\"}\n\x1b[2J\xff"), Header: nats.Header{
		events.HeaderReason: {"\x1b[31mCALLER"}, events.HeaderError: {"\x1b]0;title\x07 x\u202ey"}, "X-C1": {"\u009b2J\x7f"}, "X-\x1b": {"\x1b[H"}, "Status": {"404"},
	}}
	if _, err := s.JS.PublishMsg(s.Deadline(), msg); err != nil {
		delete(msg.Header, "X-\x1b") // a later client refuses to send it
		if _, err := s.JS.PublishMsg(s.Deadline(), msg); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"ls"}, {"ls", "--all", "--json"}, {"show", "1"}, {"show", "1", "--json"}, {"replay", "1", "--dry-run"}} {
		out, errOut := s.DLQ(0, args...)
		if strings.ContainsFunc(out+errOut, func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e }) {
			t.Errorf("dlq %v prints %q", args, out+errOut)
		}
		if args[0] != "replay" {
			wantIn(t, out, "CALLER")
		}
	}
}

func TestWhatDLQRefuses(t *testing.T) {
	t.Parallel()
	s := testsite.NewGraveyard(t)
	s.Bury(3)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "say which dead letters to replay", []string{"replay", "--yes"}},
		{2, "say which dead letters to delete", []string{"rm", "--yes"}},
		{2, "there is no terminal to ask on", []string{"rm", "1"}},
		{2, "use either --all or a choice of letters", []string{"rm", "--all", "1", "--yes"}},
		{2, `"1-x" is not a sequence`, []string{"rm", "1-x", "--yes"}},
		{2, `"0" is not a sequence`, []string{"replay", "0", "--yes"}},
		{2, `"5-4" is not a sequence`, []string{"ls", "--seq", "1,5-4"}},
		{2, "--since: must be an RFC 3339 time", []string{"ls", "--since", "yesterday"}},
		{2, "--since must be before --until", []string{"ls", "--since", "1h", "--until", "2d"}},
		{2, "--reason: must be", []string{"ls", "--reason", "WRONG"}},
		{2, "--limit: must not be negative", []string{"replay", "--all", "--limit", "-1", "--yes"}},
		{2, "--rate: must not be negative", []string{"replay", "--all", "--rate", "-1", "--yes"}},
		{2, "show takes one sequence", []string{"show", "1-2"}},
		{2, "say which dead letter to show", []string{"show"}},
		{1, "no such dead letter: SESSIONS_DLQ/99", []string{"show", "99"}},
		{1, "missing, or not matched by the filter: 99", []string{"rm", "99", "--yes"}},
	} {
		if _, errOut := s.DLQ(c.code, c.args...); !strings.Contains(errOut, c.want) {
			t.Errorf("dlq %v: no %q in %s", c.args, c.want, errOut)
		}
	}
	if n := s.Stored("SESSIONS_DLQ"); n != 3 {
		t.Errorf("%d letters are left", n)
	}
	out, _ := s.DLQ(0, "rm", "--reason", "INVALID_EVENT", "--yes")
	wantIn(t, out, "no dead letter matches")
	out, _ = s.DLQ(1, "rm", "1", "77", "--yes", "--json")
	wantIn(t, out, `"chosen": 1,`, `"done": 1,`, "\"missing\": [\n    77\n  ]")
	out, _ = s.DLQ(0, "rm", "--all", "--limit", "1", "--yes")
	wantIn(t, out, "deleted 1 of 1 dead letter\n")
	out, _ = s.DLQ(0, "replay", "--all", "--dry-run")
	wantIn(t, out, "1 dead letter in SESSIONS_DLQ to replay", "nothing was replayed")
	if n := s.Stored("SESSIONS_DLQ"); n != 1 {
		t.Errorf("%d letters are left", n)
	}

	if err := s.JS.DeleteStream(s.Deadline(), "SESSIONS"); err != nil {
		t.Fatal(err)
	}
	_, errOut := s.DLQ(1, "replay", "--all", "--yes")
	wantIn(t, errOut, "there is no stream SESSIONS;", "REVOKER_STREAM")
	if err := s.JS.DeleteStream(s.Deadline(), "SESSIONS_DLQ"); err != nil {
		t.Fatal(err)
	}
	_, errOut = s.DLQ(1, "ls")
	wantIn(t, errOut, "there is no stream SESSIONS_DLQ;", "REVOKER_DEAD_LETTER_STREAM")
	s.NATSURL = "nats://127.0.0.1:1"
	_, errOut = s.DLQ(1, "ls")
	wantIn(t, errOut, "connecting to NATS at nats://127.0.0.1:1")
}

func TestDLQAsksOnATerminal(t *testing.T) {
	t.Parallel()
	s := testsite.NewGraveyard(t)
	s.Bury(10)
	for _, c := range []struct {
		answer string
		code   int
		args   []string
		want   string
		left   int
	}{
		{"n\n", 1, []string{"rm", "--all"}, "not confirmed; nothing was done", 10},
		{"\n", 1, []string{"replay", "--all"}, "not confirmed; nothing was done", 10},
		{"\x03", 1, []string{"replay", "--all"}, "not confirmed; nothing was done", 10}, // Ctrl-C
		{"\x04", 1, []string{"replay", "--all"}, "not confirmed; nothing was done", 10}, // Ctrl-D
		{"y\n", 0, []string{"replay", "3-4"}, "replayed 2 of 2 dead letters", 8},
		{"yes\n", 0, []string{"rm", "--reason", "RETRIES_EXHAUSTED"}, "deleted 1 of 1 dead letter", 7},
	} {
		p := testproc.StartOnTerminal(t, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), append([]string{"dlq"}, c.args...)...)
		testproc.WaitFor(t, "question", func() bool {
			return strings.Contains(p.Stdout.String(), "? [y/N]") || strings.Contains(p.Stdout.String(), ". [y/N]")
		})
		_, _ = io.WriteString(p.Stdin, c.answer)
		if code := p.Wait(); code != c.code {
			t.Errorf("%q: exit code %d, want %d", c.answer, code, c.code)
		}
		wantIn(t, p.Stdout.String(), c.want)
		if n := s.Stored("SESSIONS_DLQ"); n != c.left {
			t.Errorf("%q: %d letters are left, want %d", c.answer, n, c.left)
		}
	}
	p := testproc.StartOnTerminal(t, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), "dlq", "ls")
	p.Wait()
	for line := range strings.SplitSeq(p.Stdout.String(), "\n") {
		line = strings.TrimRight(line, "\r")
		line = line[strings.LastIndexByte(line, '\r')+1:] // what a progress bar wrote before is overwritten
		if len([]rune(line)) > 100 {
			t.Errorf("wider than the terminal: %q", line)
		}
	}
}

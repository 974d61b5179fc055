package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/worker/authlete/sim"
)

// newGraveyard is a site with a NATS server and both streams, and no worker.
func newGraveyard(t testing.TB, arguments ...string) *site {
	t.Helper()
	s := newStore(t)
	s.startNATS(arguments...)
	for stream, subject := range map[string]string{"SESSIONS": "session.ended", "SESSIONS_DLQ": "dlq.session.ended"} {
		cfg := jetstream.StreamConfig{Name: stream, Subjects: []string{subject}, Discard: jetstream.DiscardNew, Duplicates: 2 * time.Minute}
		if _, err := s.js.CreateStream(s.deadline(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// bury stores n dead letters, of which each tenth is RETRIES_EXHAUSTED.
func (s *site) bury(n int) {
	s.t.Helper()
	for i := range n {
		header := nats.Header{}
		reason, code := events.ReasonCallerError, "A503201"
		if i%10 == 9 {
			reason, code = events.ReasonRetriesExhausted, "A503101"
		}
		for name, value := range map[string]string{
			events.HeaderReason: reason, events.HeaderResultCode: code, events.HeaderError: "the logout API answered", events.HeaderHTTPStatus: "400",
			events.HeaderSubject: "session.ended", events.HeaderStream: "SESSIONS", events.HeaderConsumer: "revoker", "X-Trace": "trace",
		} {
			header.Set(name, value)
		}
		msg := &nats.Msg{Subject: "dlq.session.ended", Header: header, Data: fmt.Appendf(nil, `{"sessionId":"SECRET-session-%d"}`, i)}
		if _, err := s.js.PublishMsgAsync(msg); err != nil {
			s.t.Fatal(err)
		}
	}
	<-s.js.PublishAsyncComplete()
}

// stored counts the messages in a stream.
func (s *site) stored(stream string) int {
	s.t.Helper()
	found, err := s.js.Stream(s.deadline(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	return int(found.CachedInfo().State.Msgs)
}

// dlq runs `revoker dlq` to its end, checks its exit code, and returns what it printed and its errors.
func (s *site) dlq(code int, args ...string) (out, errOut string) {
	s.t.Helper()
	return s.dlqAs("admin", code, args...)
}

func (s *site) dlqAs(user string, code int, args ...string) (out, errOut string) {
	s.t.Helper()
	p := start(s.t, []string{"NATS_URL=" + s.natsURL, "NATS_USER=" + user, "NATS_PASSWORD=" + user}, binary(s.t, "revoker"), append([]string{"dlq"}, args...)...)
	if got := p.wait(); got != code {
		s.t.Errorf("dlq %v: exit code %d, want %d\n%s%s", args, got, code, p.stdout.String(), p.stderr.String())
	}
	return p.stdout.String(), p.stderr.String()
}

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
	s := newSite(t, simulator{Bad: 3})
	s.startNATS()
	w := s.startWorker()
	s.publish(0, 100)
	s.waitDone()
	if _, err := s.js.Publish(s.deadline(), "session.ended", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	s.waitDone()

	out, _ := s.dlq(0, "ls")
	wantIn(t, out, "4 dead letters in SESSIONS_DLQ\n\nREASON ", "\nCALLER_ERROR   A503201  3 ", "\nINVALID_EVENT  -        1 ", events.SessionID("SECRET-session-1").Mask())
	all := out
	out, _ = s.dlq(0, "ls", "--reason", "invalid_event", "--limit", "0")
	wantIn(t, out, "1 dead letter in", "INVALID_EVENT")
	all += out
	out, _ = s.dlq(0, "ls", "--session", events.SessionID("SECRET-session-2").Mask(), "--json")
	all += out
	var list struct {
		Total   int
		Groups  []groupJSON
		Letters []letterJSON
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || list.Total != 1 || len(list.Groups) != 1 || len(list.Letters) != 1 || list.Letters[0].HTTPStatus != 400 {
		t.Errorf("%v in %s", err, out)
	}
	if strings.Contains(all, "SECRET") {
		t.Errorf("a list shows a session ID:\n%s", all)
	}
	out, _ = s.dlq(0, "show", fmt.Sprint(list.Letters[0].Sequence))
	wantIn(t, out, "SECRET-session-2", "A503201", "400", "SESSIONS/3 on session.ended", `{"sessionId":"SECRET-session-2"}`)

	out, _ = s.dlq(0, "replay", "--code", "A503201", "--yes")
	wantIn(t, out, "3 dead letters in SESSIONS_DLQ to replay", "replayed 3 of 3 dead letters\n")
	waitFor(t, "the events to fail again", func() bool { return s.stored("SESSIONS_DLQ") == 4 })
	out, _ = s.dlq(0, "ls", "--all", "--json")
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
	for id, session := range s.sessions() {
		want := 1
		if s.sim.kind(id) == sim.CallerError {
			want = 2
		}
		if len(session.Calls) != want {
			t.Errorf("%s was called %d times, want %d", id, len(session.Calls), want)
		}
	}
	w.signal(os.Interrupt)
	w.wait()
}

func TestHostileLettersAreHarmlessOnATerminal(t *testing.T) {
	t.Parallel()
	s := newGraveyard(t)
	msg := &nats.Msg{Subject: "dlq.session.ended", Data: []byte("{\"sessionId\":\"x\u202ey\"}\n\x1b[2J\xff"), Header: nats.Header{
		events.HeaderReason: {"\x1b[31mCALLER"}, events.HeaderError: {"\x1b]0;title\x07 x\u202ey"}, "X-C1": {"\u009b2J\x7f"}, "X-\x1b": {"\x1b[H"}, "Status": {"404"},
	}}
	if _, err := s.js.PublishMsg(s.deadline(), msg); err != nil {
		delete(msg.Header, "X-\x1b") // a later client refuses to send it
		if _, err := s.js.PublishMsg(s.deadline(), msg); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"ls"}, {"ls", "--all", "--json"}, {"show", "1"}, {"show", "1", "--json"}, {"replay", "1", "--dry-run"}} {
		out, errOut := s.dlq(0, args...)
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
	s := newGraveyard(t)
	s.bury(3)
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
		{2, "accepts 1 arg", []string{"show"}},
		{1, "no such dead letter: SESSIONS_DLQ/99", []string{"show", "99"}},
		{1, "missing, or not matched by the filter: 99", []string{"rm", "99", "--yes"}},
	} {
		if _, errOut := s.dlq(c.code, c.args...); !strings.Contains(errOut, c.want) {
			t.Errorf("dlq %v: no %q in %s", c.args, c.want, errOut)
		}
	}
	if n := s.stored("SESSIONS_DLQ"); n != 3 {
		t.Errorf("%d letters are left", n)
	}
	out, _ := s.dlq(0, "rm", "--reason", "INVALID_EVENT", "--yes")
	wantIn(t, out, "no dead letter matches")
	out, _ = s.dlq(1, "rm", "1", "77", "--yes", "--json")
	wantIn(t, out, `"chosen": 1,`, `"done": 1,`, "\"missing\": [\n    77\n  ]")
	out, _ = s.dlq(0, "rm", "--all", "--limit", "1", "--yes")
	wantIn(t, out, "deleted 1 of 1 dead letter\n")
	out, _ = s.dlq(0, "replay", "--all", "--dry-run")
	wantIn(t, out, "1 dead letter in SESSIONS_DLQ to replay", "nothing was replayed")
	if n := s.stored("SESSIONS_DLQ"); n != 1 {
		t.Errorf("%d letters are left", n)
	}

	if err := s.js.DeleteStream(s.deadline(), "SESSIONS"); err != nil {
		t.Fatal(err)
	}
	_, errOut := s.dlq(1, "replay", "--all", "--yes")
	wantIn(t, errOut, "there is no stream SESSIONS;", "REVOKER_STREAM")
	if err := s.js.DeleteStream(s.deadline(), "SESSIONS_DLQ"); err != nil {
		t.Fatal(err)
	}
	_, errOut = s.dlq(1, "ls")
	wantIn(t, errOut, "there is no stream SESSIONS_DLQ;", "REVOKER_DEAD_LETTER_STREAM")
	s.natsURL = "nats://127.0.0.1:1"
	_, errOut = s.dlq(1, "ls")
	wantIn(t, errOut, "connecting to NATS at nats://127.0.0.1:1")
}

func TestDLQAsksOnATerminal(t *testing.T) {
	t.Parallel()
	s := newGraveyard(t)
	s.bury(10)
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
		p := startOnTerminal(t, []string{"NATS_URL=" + s.natsURL}, binary(t, "revoker"), append([]string{"dlq"}, c.args...)...)
		waitFor(t, "question", func() bool {
			return strings.Contains(p.stdout.String(), "? [y/N]") || strings.Contains(p.stdout.String(), ". [y/N]")
		})
		_, _ = io.WriteString(p.stdin, c.answer)
		if code := p.wait(); code != c.code {
			t.Errorf("%q: exit code %d, want %d", c.answer, code, c.code)
		}
		wantIn(t, p.stdout.String(), c.want)
		if n := s.stored("SESSIONS_DLQ"); n != c.left {
			t.Errorf("%q: %d letters are left, want %d", c.answer, n, c.left)
		}
	}
	p := startOnTerminal(t, []string{"NATS_URL=" + s.natsURL}, binary(t, "revoker"), "dlq", "ls")
	p.wait()
	for line := range strings.SplitSeq(p.stdout.String(), "\n") {
		line = strings.TrimRight(line, "\r")
		line = line[strings.LastIndexByte(line, '\r')+1:] // what a progress bar wrote before is overwritten
		if len([]rune(line)) > 100 {
			t.Errorf("wider than the terminal: %q", line)
		}
	}
}

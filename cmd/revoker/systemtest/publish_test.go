package systemtest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/cmd/revoker/exit"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// storedSessions returns how often each session is in the stream.
func storedSessions(s *testsite.Site) map[string]int {
	s.T.Helper()
	counts := map[string]int{}
	consumer, err := s.JS.OrderedConsumer(s.Deadline(), "SESSIONS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		s.T.Fatal(err)
	}
	for left := s.Count(); left > 0; {
		batch, err := consumer.FetchNoWait(1000)
		if err != nil {
			s.T.Fatal(err)
		}
		for msg := range batch.Messages() {
			var event struct{ SessionID string }
			if err := json.Unmarshal(msg.Data(), &event); err != nil {
				s.T.Fatal(err)
			}
			counts[event.SessionID]++
			left--
		}
	}
	return counts
}

// once fails unless the stream has each of n sessions, once.
func once(s *testsite.Site, n int) {
	s.T.Helper()
	stored := storedSessions(s)
	for id, times := range stored {
		if times != 1 {
			s.T.Fatalf("%s is stored %d times", id, times)
		}
	}
	if len(stored) != n {
		s.T.Errorf("%d sessions are stored, want %d", len(stored), n)
	}
}

// publishSummaryJSON is what `revoker publish --json` prints, as far as the tests look at it.
type publishSummaryJSON struct {
	DryRun, Complete                                bool
	Rows, Skipped, Published, AlreadyThere, Invalid int64
	Duplicates                                      *int64
	Faults                                          []struct{ Line int64 }
	Error                                           string
}

// summaryOf runs it with --json and returns what it printed.
func summaryOf(s *testsite.Site, wantCode int, args ...string) (printed publishSummaryJSON) {
	s.T.Helper()
	p := s.StartPublish(append([]string{"--json"}, args...)...)
	if code := p.Wait(); code != wantCode {
		s.T.Fatalf("%v: exit code %d, want %d: %s%s", args, code, wantCode, p.Stdout.String(), p.Stderr.String())
	}
	if strings.Contains(p.Stdout.String()+p.Stderr.String(), "SECRET") {
		s.T.Errorf("%v: a session ID is printed: %s%s", args, p.Stdout.String(), p.Stderr.String())
	}
	if err := json.Unmarshal([]byte(p.Stdout.String()), &printed); err != nil {
		s.T.Fatalf("%v: %v in %q", args, err, p.Stdout.String())
	}
	return printed
}

// sessionFile writes n sessions, one a line.
func sessionFile(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "SECRET-session-of-some-length-%d\n", i)
	}
	return writeFile(t, b.String())
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sessions")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPublishedSessionsAreRevoked(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.StartWorker()
	p := s.StartPublish("--session", "one", "--session", "two", "--session", "one")
	if code := p.Wait(); code != 0 || p.Stdout.String() != "published 2, already there 1, invalid 0\n" {
		t.Errorf("exit code %d, %q, %s", code, p.Stdout.String(), p.Stderr.String())
	}
	p = testproc.Start(t, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), "publish", "--reason", "incident")
	_, _ = io.WriteString(p.Stdin, "three\r\n\nfo\tur\n"+strings.Repeat("x", 2000)+"\nfive")
	p.Stdin.Close()
	want := "published 2, already there 0, invalid 2\n" +
		"  standard input, line 3: sessionId has a control character\n  standard input, line 4: sessionId has 2000 bytes; at most 1024 are allowed\n"
	if code := p.Wait(); code != 1 || p.Stdout.String() != want || p.Stderr.String() != "revoker: rows that are not events: 2\n" {
		t.Errorf("exit code %d, %q, %s", code, p.Stdout.String(), p.Stderr.String())
	}
	testproc.WaitFor(t, "revocations", func() bool { return len(s.Sessions()) == 4 })
	for _, id := range []string{"one", "two", "three", "five"} {
		if calls := s.Sessions()[id].Calls; len(calls) != 1 {
			t.Errorf("%s was called %d times", id, len(calls))
		}
	}
}

func TestPublishingAgainAddsNothing(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	file := sessionFile(t, 20_000)
	if got := summaryOf(s, 0, file); got.Published != 20_000 || got.AlreadyThere != 0 || !got.Complete || got.Rows != 20_000 {
		t.Errorf("first: %+v", got)
	}
	if got := summaryOf(s, 0, file); got.Published != 0 || got.AlreadyThere != 20_000 {
		t.Errorf("again: %+v", got)
	}
	// The same session of another service is another event.
	if got := summaryOf(s, 0, "--service-id", "7", "--skip", "19990", file); got.Published != 10 || got.Skipped != 19_990 {
		t.Errorf("of another service: %+v", got)
	}
	if n := s.Count(); n != 20_010 {
		t.Errorf("%d events are stored", n)
	}
}

func TestInvalidRowsStopNothing(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	lines := writeFile(t, "SECRET-1\nSECRET\x01-2\nSECRET\xff-3\nSECRET-4\n")
	csv := writeFile(t, "note,sid\nx,SECRET-5\n\"y,SECRET-6\nz,SECRET-7\n")
	objects := writeFile(t, `{"sessionId":"SECRET-8","reason":"`+strings.Repeat("r", 2000)+`"}`+"\n"+`{"id":"SECRET-9"}`+"\n")
	s.CreateStream(jetstream.StreamConfig{MaxMsgSize: 2000}) // the stream refuses SECRET-8
	rejects := writeFile(t, "an older one\n"+`{"input":"a line that was cut`)
	for run := 1; run <= 2; run++ {
		got := summaryOf(s, 1, "--rejects", rejects, lines, csv, objects)
		if got.Published+got.AlreadyThere != 4 || got.Invalid != 5 || len(got.Faults) != 5 || !got.Complete || got.Error != "" {
			t.Errorf("got %+v", got)
		}
		text, err := os.ReadFile(rejects)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Split(strings.TrimSpace(string(text)), "\n")
		if len(all) != 2+5 || all[0] != "an older one" { // what the file holds is kept, and nothing comes twice
			t.Fatalf("run %d: %d lines:\n%s", run, len(all), text)
		}
		all = all[2:]
		kept := map[string]bool{}
		for _, line := range all {
			var reject struct {
				Input, Reason, Row string
				Line               int64
				RowBase64          []byte
			}
			if err := json.Unmarshal([]byte(line), &reject); err != nil || reject.Input == "" || reject.Reason == "" || reject.Line == 0 {
				t.Errorf("%s: %v", line, err)
			}
			kept[reject.Row+string(reject.RowBase64)] = true
		}
		for _, row := range []string{"SECRET\x01-2", "SECRET\xff-3", `"y,SECRET-6`, `{"id":"SECRET-9"}`} {
			if !kept[row] {
				t.Errorf("run %d: %q is lost", run, row)
			}
		}
	}
	if info, err := os.Stat(rejects); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the rejects can be read by others: %v %v", info.Mode(), err)
	}
	once(s, 4)
}

func TestDryRunSendsNothing(t *testing.T) {
	t.Parallel()
	s := &testsite.Site{T: t, NATSURL: "nats://127.0.0.1:1"} // nobody is there
	file := writeFile(t, "SECRET-1\nSECRET-2\n\nSECRET-1\nSECRET\x01\n")
	got := summaryOf(s, 1, "--dry-run", file)
	if got.Rows != 4 || *got.Duplicates != 1 || got.Invalid != 1 || got.Faults[0].Line != 5 || !got.DryRun {
		t.Errorf("got %+v", got)
	}
	p := s.StartPublish("--dry-run", file)
	want := "nothing sent: 4 rows, duplicates 1, invalid 1\n  " + file + ", line 5: sessionId has a control character\n"
	if code := p.Wait(); code != 1 || p.Stdout.String() != want {
		t.Errorf("exit code %d, %q", code, p.Stdout.String())
	}
	p = s.StartPublish("--dry-run", writeFile(t, strings.Repeat("SECRET\x01\n", 1000)))
	if p.Wait(); !strings.HasSuffix(p.Stdout.String(), ", line 10: sessionId has a control character\n  and 990 more\n") {
		t.Errorf("got %q", p.Stdout.String())
	}
}

// What can't begin prints the object that a program expects too.
func TestAPublishThatCannotBeginPrintsJSON(t *testing.T) {
	t.Parallel()
	s := &testsite.Site{T: t, NATSURL: "nats://127.0.0.1:1"}
	file := writeFile(t, "SECRET-1\n")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exit.CodeProblem, "connecting to NATS at nats://127.0.0.1:1", []string{file}},
		{exit.CodeUsage, "argument 1 is not an existing file", []string{"SECRET-session"}},
		{exit.CodeUsage, "--rate: must be", []string{"--rate", "-1", file}},
		{exit.CodeUsage, "--rejects: open", []string{"--rejects", filepath.Join(file, "x"), file}},
	} {
		if got := summaryOf(s, c.code, c.args...); got.Complete || !strings.Contains(got.Error, c.want) {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
	p := testproc.Start(t, []string{"REVOKER_TYPO=1"}, testproc.Binary(t, "revoker"), "publish", "--json", file)
	if code := p.Wait(); code != exit.CodeConfiguration || !strings.HasPrefix(p.Stdout.String(), `{"dryRun":false,"complete":false,`) {
		t.Errorf("exit code %d: %s", code, p.Stdout.String())
	}
}

func TestPublishUsage(t *testing.T) {
	t.Parallel()
	s := &testsite.Site{T: t, NATSURL: "nats://127.0.0.1:1"}
	file, table := writeFile(t, "a\n"), writeFile(t, "SECRET,1\nb,2\n")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"argument 2 is not an existing file; use --session for a single session ID", []string{file, "SECRET-session"}},
		{"is a folder", []string{t.TempDir()}},
		{"no column is titled sessionId", []string{file, table}},
		{"--column: the first row has no column of this title", []string{"--column", "key", table}},
		{"--format: must be auto, lines, csv or json", []string{"--format", "xml", file}},
		{"--rate: must be", []string{"--rate", "-1", file}},
		{"--skip: must not", []string{"--skip", "-1", file}},
		{"--timeout: must be", []string{"--timeout", "1ms", file}},
		{"--session: takes no files", []string{"--session", "SECRET", file}},
		{"is an input too", []string{"--rejects", file, file}},
		{"--rejects: open", []string{"--rejects", filepath.Join(file, "x"), file}},
	} {
		p := s.StartPublish(c.args...)
		code, text := p.Wait(), p.Stdout.String()+p.Stderr.String()
		if code != 2 || !strings.Contains(text, c.want) || strings.Contains(text, "SECRET") {
			t.Errorf("%v: exit code %d, %q, want %q", c.args, code, text, c.want)
		}
	}
}

package systemtest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// The first things that can be wrong are said at once, and nothing is stored.
func TestPublishSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(config, []byte(`authorization { users = [
		{user: admin, password: admin}
		{user: reader, password: pw, permissions: {publish: ["other"], subscribe: "_INBOX.>"}}
		{user: deaf, password: pw, permissions: {publish: ["session.ended"], subscribe: "other"}}
	] }`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := testsite.NewStream(t, "--config", config)
	file := sessionFile(t, 1)
	for _, c := range []struct {
		want string
		env  []string
	}{
		{"connecting to NATS at nats://127.0.0.1:1:", []string{"NATS_URL=nats://127.0.0.1:1", "NATS_PASSWORD=SECRET", "NATS_USER=u"}},
		{"Authorization Violation", []string{"NATS_PASSWORD=SECRET", "NATS_USER=u"}},
		{"publishing to session.ended: the account's permissions do not allow it", []string{"NATS_USER=reader", "NATS_PASSWORD=pw"}},
		{"may not subscribe to its inbox", []string{"NATS_USER=deaf", "NATS_PASSWORD=pw"}},
		{"no stream answers for session.other: there is none (`revoker setup` creates it)", []string{"REVOKER_SUBJECT=session.other"}},
		{"session.ended is stored by another stream than MINE (REVOKER_STREAM)", []string{"REVOKER_STREAM=MINE"}},
		{"REVOKER_SUBJECT: has wildcards", []string{"REVOKER_SUBJECT=session.>", "REVOKER_BULK_SUBJECT="}},
	} {
		env := append([]string{"NATS_URL=" + s.NATSURL, "NATS_USER=admin", "NATS_PASSWORD=admin"}, c.env...)
		p := testproc.Start(t, env, testproc.Binary(t, "revoker"), "publish", file)
		code, text := p.Wait(), p.Stdout.String()+p.Stderr.String()
		if code == 0 || !strings.Contains(text, c.want) || strings.Contains(text, "SECRET") {
			t.Errorf("exit code %d, want %q in\n%s", code, c.want, text)
		}
	}
	if n := s.Count(); n > 1 { // that of the account which hears no confirmation
		t.Errorf("%d events are stored", n)
	}
}

// goOnCommand is the command that a stopped run prints.
var goOnCommand = regexp.MustCompile(`(?m)^everything up to line (\d+) of .* is done; go on with\n  (revoker publish .*)$`)

// rateFlag is the limit of a run that was to be stopped. What is left need not take as long.
var rateFlag = regexp.MustCompile(` --rate=\S+`)

// goOn runs that command, by a shell and without its limit.
func goOn(s *testsite.Site, stopped *testproc.Process) *testproc.Process {
	s.T.Helper()
	match := goOnCommand.FindStringSubmatch(stopped.Stdout.String())
	if match == nil || strings.Contains(stopped.Stdout.String()+stopped.Stderr.String(), "SECRET") {
		s.T.Fatalf("no way to go on, or a session ID, in:\n%s%s", stopped.Stdout.String(), stopped.Stderr.String())
	}
	path := filepath.Dir(testproc.Binary(s.T, "revoker")) + ":" + os.Getenv("PATH")
	p := testproc.Start(s.T, []string{"NATS_URL=" + s.NATSURL, "PATH=" + path}, "sh", "-c", rateFlag.ReplaceAllString(match[2], ""))
	p.Stdin.Close()
	return p
}

func TestAnInterruptedPublishSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	const n = 5000
	first, second := sessionFile(t, 100), sessionFile(t, n)
	p := s.StartPublish("--rate", "100", "--reason", "it's", first, second) // for 50 s: no pause lets it end before
	testproc.WaitFor(t, "events", func() bool { return s.Count() > 200 })
	p.Signal(os.Interrupt)
	if code := p.Wait(); code != 1 || !strings.Contains(p.Stderr.String(), "revoker: interrupted\n") {
		t.Fatalf("exit code %d: %s%s", code, p.Stdout.String(), p.Stderr.String())
	}
	stored := s.Count()
	if match := goOnCommand.FindStringSubmatch(p.Stdout.String()); match == nil || match[1] != fmt.Sprint(stored) {
		t.Errorf("%d events are stored:\n%s", stored, p.Stdout.String())
	}
	if stored == n {
		t.Error("it was not interrupted")
	}
	if strings.Contains(p.Stdout.String(), first) {
		t.Errorf("it would begin with the first file again:\n%s", p.Stdout.String())
	}
	again := goOn(s, p)
	if code := again.Wait(); code != 0 || !regexp.MustCompile(fmt.Sprintf(`^published %d, already there 0, invalid 0, skipped %d\b`, n-stored, stored)).MatchString(again.Stdout.String()) {
		t.Errorf("exit code %d: %s%s", code, again.Stdout.String(), again.Stderr.String())
	}
	once(s, n)
}

// An interruption ends a run that waits for more on a pipe.
func TestAnInterruptedPipeEnds(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	p := testproc.Start(t, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), "publish", "-")
	if _, err := fmt.Fprintln(p.Stdin, "one"); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "event", func() bool { return s.Count() == 1 })
	p.Signal(os.Interrupt)
	if code := p.Wait(); code != 1 || !strings.Contains(p.Stdout.String(), "everything up to line 1 of standard input is done; go on with\n  revoker publish --skip=1 -  # with the same input\n") {
		t.Errorf("exit code %d: %s%s", code, p.Stdout.String(), p.Stderr.String())
	}
}

func TestAKilledPublishIsRunAgain(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	const n = 30_000
	file := sessionFile(t, n)
	p := s.StartPublish("--rate", "1000", file) // it would take 30 s, so that no pause lets it end before
	testproc.WaitFor(t, "events", func() bool { return s.Count() > n/30 })
	p.Signal(syscall.SIGKILL)
	p.Wait()
	if stored := s.Count(); stored == n {
		t.Error("it was not killed in time")
	}
	got := summaryOf(s, 0, file)
	if got.Published+got.AlreadyThere != n || got.AlreadyThere < n/30 {
		t.Errorf("got %+v", got)
	}
	once(s, n)
}

func TestPublishOutlivesAServerThatIsKilled(t *testing.T) {
	t.Parallel()
	s := testsite.NewStore(t)
	server := s.StartNATS()
	s.CreateStream(jetstream.StreamConfig{})
	const n = 30_000
	p := s.StartPublish("--rate", "1500", sessionFile(t, n)) // it takes 20 s, so that no pause lets it end before
	testproc.WaitFor(t, "events", func() bool { return s.Count() > n/30 })
	server.Signal(syscall.SIGKILL)
	server.Wait()
	if !p.Running() {
		t.Fatal("it ended before")
	}
	s.StartNATS()
	if code := p.Wait(); code != 0 || !strings.Contains(p.Stdout.String(), fmt.Sprintf("published %d, already there 0, invalid 0", n)) {
		t.Errorf("exit code %d: %s%s", code, p.Stdout.String(), p.Stderr.String())
	}
	once(s, n)
}

// A server that stays away ends the run, in bounded time, and the run can go on later.
func TestPublishGivesUpOnAServerThatStaysAway(t *testing.T) {
	t.Parallel()
	s := testsite.NewStore(t)
	server := s.StartNATS()
	s.CreateStream(jetstream.StreamConfig{})
	const n = 20_000
	p := s.StartPublish("--rate", "1000", "--timeout", "2s", sessionFile(t, n)) // it would take 20 s, so that no pause lets it end before
	testproc.WaitFor(t, "events", func() bool { return s.Count() > n/20 })
	server.Signal(syscall.SIGKILL)
	server.Wait()
	if code := p.Wait(); code != 1 || !strings.Contains(p.Stderr.String(), "NATS is not reachable") {
		t.Fatalf("exit code %d: %s%s", code, p.Stdout.String(), p.Stderr.String())
	}
	s.StartNATS()
	again := goOn(s, p)
	if code := again.Wait(); code != 0 {
		t.Errorf("exit code %d: %s%s", code, again.Stdout.String(), again.Stderr.String())
	}
	once(s, n)
}

// A stream that is full refuses what is beyond; nothing of it is lost.
func TestPublishToAFullStream(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	s.CreateStream(jetstream.StreamConfig{Discard: jetstream.DiscardNew, MaxMsgs: 5000})
	p := s.StartPublish("--timeout", "10s", sessionFile(t, 8000))
	if code := p.Wait(); code != 1 || !strings.Contains(p.Stderr.String(), "maximum messages exceeded") {
		t.Fatalf("exit code %d: %s%s", code, p.Stdout.String(), p.Stderr.String())
	}
	if match := goOnCommand.FindStringSubmatch(p.Stdout.String()); match == nil || match[1] != "5000" {
		t.Errorf("got %s", p.Stdout.String())
	}
	s.CreateStream(jetstream.StreamConfig{Discard: jetstream.DiscardNew, MaxMsgs: 10_000})
	if code := goOn(s, p).Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	once(s, 8000)
}

func TestPublishReadsCompressedInput(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	text, err := os.ReadFile(sessionFile(t, 3000))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sessions") // no name tells that it is compressed
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, err = zip.Write(text)
	if err := errors.Join(err, zip.Close(), os.WriteFile(file, zipped.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := summaryOf(s, 0, file); got.Published != 3000 {
		t.Errorf("got %+v", got)
	}
	once(s, 3000)
}

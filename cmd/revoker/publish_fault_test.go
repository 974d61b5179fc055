package main

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
	s := newStream(t, "--config", config)
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
		{"REVOKER_SUBJECT: has wildcards", []string{"REVOKER_SUBJECT=session.>"}},
	} {
		env := append([]string{"NATS_URL=" + s.natsURL, "NATS_USER=admin", "NATS_PASSWORD=admin"}, c.env...)
		p := start(t, env, binary(t, "revoker"), "publish", file)
		code, text := p.wait(), p.stdout.String()+p.stderr.String()
		if code == 0 || !strings.Contains(text, c.want) || strings.Contains(text, "SECRET") {
			t.Errorf("exit code %d, want %q in\n%s", code, c.want, text)
		}
	}
	if n := s.count(); n > 1 { // that of the account which hears no confirmation
		t.Errorf("%d events are stored", n)
	}
}

// goOnCommand is the command that a stopped run prints.
var goOnCommand = regexp.MustCompile(`(?m)^everything up to line (\d+) of .* is done; go on with\n  (revoker publish .*)$`)

// goOn runs that command, by a shell.
func (s *site) goOn(stopped *process) *process {
	s.t.Helper()
	match := goOnCommand.FindStringSubmatch(stopped.stdout.String())
	if match == nil || strings.Contains(stopped.stdout.String()+stopped.stderr.String(), "SECRET") {
		s.t.Fatalf("no way to go on, or a session ID, in:\n%s%s", stopped.stdout.String(), stopped.stderr.String())
	}
	path := filepath.Dir(binary(s.t, "revoker")) + ":" + os.Getenv("PATH")
	p := start(s.t, []string{"NATS_URL=" + s.natsURL, "PATH=" + path}, "sh", "-c", match[2])
	p.stdin.Close()
	return p
}

func TestAnInterruptedPublishSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	const n = 5000
	first, second := sessionFile(t, 100), sessionFile(t, n)
	p := s.startPublish("--rate", "1000", "--reason", "it's", first, second)
	waitFor(t, "events", func() bool { return s.count() > 200 })
	p.signal(os.Interrupt)
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "revoker: interrupted\n") {
		t.Fatalf("exit code %d: %s%s", code, p.stdout.String(), p.stderr.String())
	}
	stored := s.count()
	if match := goOnCommand.FindStringSubmatch(p.stdout.String()); match == nil || match[1] != fmt.Sprint(stored) {
		t.Errorf("%d events are stored:\n%s", stored, p.stdout.String())
	}
	if stored == n {
		t.Error("it was not interrupted")
	}
	if strings.Contains(p.stdout.String(), first) {
		t.Errorf("it would begin with the first file again:\n%s", p.stdout.String())
	}
	again := s.goOn(p)
	if code := again.wait(); code != 0 || !strings.HasPrefix(again.stdout.String(), fmt.Sprintf("published %d, already there 0, invalid 0, skipped %d ", n-stored, stored)) {
		t.Errorf("exit code %d: %s%s", code, again.stdout.String(), again.stderr.String())
	}
	s.once(n)
}

// An interruption ends a run that waits for more on a pipe.
func TestAnInterruptedPipeEnds(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	p := start(t, []string{"NATS_URL=" + s.natsURL}, binary(t, "revoker"), "publish", "-")
	if _, err := fmt.Fprintln(p.stdin, "one"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "event", func() bool { return s.count() == 1 })
	p.signal(os.Interrupt)
	if code := p.wait(); code != 1 || !strings.Contains(p.stdout.String(), "everything up to line 1 of standard input is done; go on with\n  revoker publish --skip=1 -  # with the same input\n") {
		t.Errorf("exit code %d: %s%s", code, p.stdout.String(), p.stderr.String())
	}
}

func TestAKilledPublishIsRunAgain(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	const n = 30_000
	file := sessionFile(t, n)
	p := s.startPublish("--rate", "20000", file)
	waitFor(t, "events", func() bool { return s.count() > n/10 })
	p.signal(syscall.SIGKILL)
	p.wait()
	if stored := s.count(); stored == n {
		t.Error("it was not killed in time")
	}
	got := s.summaryOf(0, file)
	if got.Published+got.AlreadyThere != n || got.AlreadyThere < n/10 {
		t.Errorf("got %+v", got)
	}
	s.once(n)
}

func TestPublishOutlivesAServerThatIsKilled(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	server := s.startNATS()
	s.createStream(jetstream.StreamConfig{})
	const n = 30_000
	p := s.startPublish("--rate", "15000", sessionFile(t, n))
	waitFor(t, "events", func() bool { return s.count() > n/10 })
	server.signal(syscall.SIGKILL)
	server.wait()
	if !p.running() {
		t.Fatal("it ended before")
	}
	s.startNATS()
	if code := p.wait(); code != 0 || !strings.Contains(p.stdout.String(), fmt.Sprintf("published %d, already there 0, invalid 0", n)) {
		t.Errorf("exit code %d: %s%s", code, p.stdout.String(), p.stderr.String())
	}
	s.once(n)
}

// A server that stays away ends the run, in bounded time, and the run can go on later.
func TestPublishGivesUpOnAServerThatStaysAway(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	server := s.startNATS()
	s.createStream(jetstream.StreamConfig{})
	const n = 20_000
	p := s.startPublish("--rate", "10000", "--timeout", "2s", sessionFile(t, n))
	waitFor(t, "events", func() bool { return s.count() > n/10 })
	server.signal(syscall.SIGKILL)
	server.wait()
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "NATS is not reachable") {
		t.Fatalf("exit code %d: %s%s", code, p.stdout.String(), p.stderr.String())
	}
	s.startNATS()
	again := s.goOn(p)
	if code := again.wait(); code != 0 {
		t.Errorf("exit code %d: %s%s", code, again.stdout.String(), again.stderr.String())
	}
	s.once(n)
}

// A stream that is full refuses what is beyond; nothing of it is lost.
func TestPublishToAFullStream(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	s.createStream(jetstream.StreamConfig{Discard: jetstream.DiscardNew, MaxMsgs: 5000})
	p := s.startPublish("--timeout", "1s", sessionFile(t, 8000))
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "maximum messages exceeded") {
		t.Fatalf("exit code %d: %s%s", code, p.stdout.String(), p.stderr.String())
	}
	if match := goOnCommand.FindStringSubmatch(p.stdout.String()); match == nil || match[1] != "5000" {
		t.Errorf("got %s", p.stdout.String())
	}
	s.createStream(jetstream.StreamConfig{Discard: jetstream.DiscardNew, MaxMsgs: 10_000})
	if code := s.goOn(p).wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.once(8000)
}

func TestPublishReadsCompressedInput(t *testing.T) {
	t.Parallel()
	s := newStream(t)
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
	if got := s.summaryOf(0, file); got.Published != 3000 {
		t.Errorf("got %+v", got)
	}
	s.once(3000)
}

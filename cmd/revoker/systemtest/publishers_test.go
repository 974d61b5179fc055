package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// documentedPublisher is the program in events/README.md that is written in a language.
func documentedPublisher(t *testing.T, language string) []byte {
	t.Helper()
	match := regexp.MustCompile("(?s)\n```" + language + "\n(.*?)```\n").FindStringSubmatch(testproc.ReadFile(t, "events/README.md"))
	if match == nil {
		t.Fatalf("events/README.md has no publisher in %s", language)
	}
	return []byte(match[1])
}

// publishes runs a program twice, on a server without accounts and as the publisher of deploy/nats/accounts.conf: its event is stored
// once, on the live lane, as an event with revoker's own message ID.
func publishes(t *testing.T, folder string, program ...string) {
	t.Helper()
	t.Run("without accounts", func(t *testing.T) {
		t.Parallel()
		s := testsite.New(t, testsite.Simulator{})
		s.StartNATS()
		s.Says(0, nil, []string{"setup"})
		publishesAt(s, nil, folder, program)
	})
	t.Run("as publisher", func(t *testing.T) {
		t.Parallel()
		s := newAccountsSite(t, testsite.Simulator{})
		startOneServer(s)
		s.Says(0, identity("setup"), []string{"setup"})
		publishesAt(s, identity("publisher"), folder, program)
	})
}

func publishesAt(s *testsite.Site, as []string, folder string, program []string) {
	t := s.T
	t.Helper()
	for range 2 {
		cmd := exec.Command(program[0], program[1:]...)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "NATS_URL="+s.NATSURL, "SESSION_ID=SECRET-session-1", "PATH="+filepath.Dir(testproc.Binary(t, "revoker"))+":"+os.Getenv("PATH"))
		cmd.Env = append(cmd.Env, as...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", program, err, out)
		} else if strings.Contains(string(out), "WARN") {
			t.Errorf("%v warns: %s", program, out)
		}
	}
	stream, err := s.JS.Stream(s.Deadline(), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Fatalf("%d events, want 1", n)
	}
	msg, err := stream.GetMsg(s.Deadline(), 1)
	if err != nil {
		t.Fatal(err)
	}
	event, err := events.Decode(msg.Header, msg.Data)
	if id := msg.Header.Get(jetstream.MsgIDHeader); err != nil || event.SessionID != "SECRET-session-1" || id != event.MessageID(config.Live) {
		t.Errorf("%s with the message ID %q: %v", msg.Data, id, err)
	}
	if msg.Subject != "session.ended" {
		t.Errorf("it is on %s", msg.Subject)
	}
}

// The publishers of the documents work as they stand there.
func TestTheDocumentedPublishers(t *testing.T) {
	t.Parallel()
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, documentedPublisher(t, "go"), 0o600); err != nil {
			t.Fatal(err)
		}
		publishes(t, ".", "go", "run", file)
	})
	t.Run("shell", func(t *testing.T) {
		t.Parallel()
		line := regexp.MustCompile(`(?m)^    (printf .*\| revoker publish --lane live)$`).FindStringSubmatch(testproc.ReadFile(t, "events/README.md"))
		if line == nil {
			t.Fatal("events/README.md has no publisher for the shell")
		}
		publishes(t, ".", "sh", "-c", line[1])
	})
}

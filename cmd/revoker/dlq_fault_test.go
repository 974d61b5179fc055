package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"revoker/events"
)

// withUsers writes a server configuration with the user admin, whose password is the name, as are the others'; each of
// those may publish to its subjects.
func withUsers(t *testing.T, users map[string][]string) string {
	t.Helper()
	content := "authorization { users = [\n{user: admin, password: admin}\n"
	for user, subjects := range users {
		content += fmt.Sprintf("{user: %s, password: %s, permissions: {publish: [\"%s\"], subscribe: \"_INBOX.>\"}}\n", user, user, strings.Join(subjects, `", "`))
	}
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(content+"] }"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Each documented permission is needed, and together they are enough.
func TestAMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	operator := documented(t, "dlq")
	without := func(subject string) []string {
		return slices.DeleteFunc(slices.Clone(operator), func(s string) bool { return s == subject })
	}
	users := map[string][]string{"operator": operator}
	for i, subject := range operator {
		users[fmt.Sprintf("lacking%d", i)] = without(subject)
	}
	s := newGraveyard(t, "--config", withUsers(t, users))
	s.bury(3)
	for i, subject := range operator {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			args := []string{"replay", "1", "--yes"}
			if strings.Contains(subject, "STREAM.MSG.GET") {
				args = []string{"show", "1"}
			}
			_, errOut := s.dlqAs(fmt.Sprintf("lacking%d", i), 1, args...)
			named := strings.NewReplacer("INFO.*", "INFO.SESSIONS_DLQ", "GET.*", "GET.SESSIONS_DLQ").Replace(subject)
			wantIn(t, errOut, "the account's permissions do not allow it: it must be able to publish to "+named)
		})
	}
}

func TestTheDocumentedPermissionsOfAnOperatorAreEnough(t *testing.T) {
	t.Parallel()
	s := newGraveyard(t, "--config", withUsers(t, map[string][]string{"operator": documented(t, "dlq")}))
	s.bury(4)
	for _, args := range [][]string{{"ls"}, {"show", "1"}, {"replay", "1-2", "--yes"}, {"rm", "3", "--yes"}} {
		if _, errOut := s.dlqAs("operator", 0, args...); errOut != "" {
			t.Errorf("dlq %v: %s", args, errOut)
		}
	}
	if s.stored("SESSIONS") != 2 || s.stored("SESSIONS_DLQ") != 1 {
		t.Errorf("%d events, %d letters", s.stored("SESSIONS"), s.stored("SESSIONS_DLQ"))
	}
}

// What can't be deleted is published once, and only the first: the next run finds it published.
func TestAReplayThatMayNotDeleteStopsAtTheFirst(t *testing.T) {
	t.Parallel()
	publisher := slices.DeleteFunc(documented(t, "dlq"), func(s string) bool { return strings.Contains(s, "DELETE") })
	s := newGraveyard(t, "--config", withUsers(t, map[string][]string{"publisher": publisher}))
	s.bury(20)
	out, _ := s.dlqAs("publisher", 1, "replay", "--all", "--yes")
	wantIn(t, out, "replayed 0 of 20 dead letters, 20 left\n")
	if s.stored("SESSIONS") != 1 || s.stored("SESSIONS_DLQ") != 20 {
		t.Errorf("%d events, %d letters", s.stored("SESSIONS"), s.stored("SESSIONS_DLQ"))
	}
	out, _ = s.dlq(0, "replay", "--all", "--yes")
	wantIn(t, out, "replayed 20 of 20 dead letters, 1 had been published before\n")
	if s.stored("SESSIONS") != 20 || s.stored("SESSIONS_DLQ") != 0 {
		t.Errorf("%d events, %d letters", s.stored("SESSIONS"), s.stored("SESSIONS_DLQ"))
	}
}

// A replay is killed again and again; every event is published, and none twice.
func TestAReplayThatIsKilledLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	s := newGraveyard(t)
	const n = 3000
	s.bury(n)
	for kill := n - 500; kill > 0; kill -= 700 {
		p := start(t, []string{"NATS_URL=" + s.natsURL}, binary(t, "revoker"), "dlq", "replay", "--all", "--yes")
		waitFor(t, "letters to be replayed", func() bool { return s.stored("SESSIONS_DLQ") < kill })
		p.signal(os.Kill)
		p.wait()
	}
	s.dlq(0, "replay", "--all", "--yes")
	if s.stored("SESSIONS") != n || s.stored("SESSIONS_DLQ") != 0 {
		t.Errorf("%d events of %d, %d letters", s.stored("SESSIONS"), n, s.stored("SESSIONS_DLQ"))
	}
}

func TestAnInterruptedReplayStopsBetweenLettersAndSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	s := newGraveyard(t)
	const n = 2000
	s.bury(n)
	p := start(t, []string{"NATS_URL=" + s.natsURL}, binary(t, "revoker"), "dlq", "replay", "--all", "--yes", "--rate", "200")
	waitFor(t, "letters to be replayed", func() bool { return s.stored("SESSIONS_DLQ") < n-10 })
	p.signal(syscall.SIGINT)
	if code := p.wait(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	left := s.stored("SESSIONS_DLQ")
	wantIn(t, p.stdout.String(), fmt.Sprintf("replayed %d of %d dead letters, %d left\n", n-left, n, left))
	wantIn(t, p.stderr.String(), "interrupted; the same command goes on where it stopped")
	if s.stored("SESSIONS") != n-left || left == 0 {
		t.Errorf("%d events, %d letters left", s.stored("SESSIONS"), left)
	}
}

// The server is away for a while, and back.
func TestAReplayOutlastsARestartOfTheServer(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	server := s.startNATS()
	s.startWorker().signal(os.Interrupt) // creates the streams
	const n = 1000
	s.bury(n)
	p := start(t, []string{"NATS_URL=" + s.natsURL}, binary(t, "revoker"), "dlq", "replay", "--all", "--yes", "--rate", "500")
	waitFor(t, "letters to be replayed", func() bool { return s.stored("SESSIONS_DLQ") < n-10 })
	server.signal(syscall.SIGTERM)
	server.wait()
	s.startNATS()
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	if s.stored("SESSIONS") != n || s.stored("SESSIONS_DLQ") != 0 {
		t.Errorf("%d events of %d, %d letters; %s", s.stored("SESSIONS"), n, s.stored("SESSIONS_DLQ"), p.stdout.String())
	}
}

// Another operator is at work on the same letters.
func TestLettersThatAreGoneAreCounted(t *testing.T) {
	t.Parallel()
	s := newGraveyard(t)
	s.bury(100)
	p := startOnTerminal(t, []string{"NATS_URL=" + s.natsURL}, binary(t, "revoker"), "dlq", "replay", "--all")
	waitFor(t, "question", func() bool { return strings.Contains(p.stdout.String(), "? [y/N]") })
	s.dlq(0, "rm", "--reason", events.ReasonRetriesExhausted, "--yes")
	s.bury(10) // and some arrive
	_, _ = p.stdin.Write([]byte("y\n"))
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	wantIn(t, p.stdout.String(), "replayed 90 of 100 dead letters, 10 already gone")
	if s.stored("SESSIONS") != 90 || s.stored("SESSIONS_DLQ") != 10 {
		t.Errorf("%d events, %d letters", s.stored("SESSIONS"), s.stored("SESSIONS_DLQ"))
	}
}

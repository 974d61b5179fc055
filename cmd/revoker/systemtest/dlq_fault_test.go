package systemtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"revoker/events"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
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
	if err := os.WriteFile(file, []byte(content+"], timeout: 60 }"), 0o600); err != nil {
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
	s := testsite.NewGraveyard(t, "--config", withUsers(t, users))
	s.Bury(3)
	for i, subject := range operator {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			args := []string{"replay", "1", "--yes"}
			if strings.Contains(subject, "STREAM.MSG.GET") {
				args = []string{"show", "1"}
			}
			_, errOut := s.DLQAs(fmt.Sprintf("lacking%d", i), 1, args...)
			named := strings.NewReplacer("INFO.*", "INFO.SESSIONS_DLQ", "GET.*", "GET.SESSIONS_DLQ").Replace(subject)
			wantIn(t, errOut, "the account's permissions do not allow it: it must be able to publish to "+named)
		})
	}
}

func TestTheDocumentedPermissionsOfAnOperatorAreEnough(t *testing.T) {
	t.Parallel()
	s := testsite.NewGraveyard(t, "--config", withUsers(t, map[string][]string{"operator": documented(t, "dlq")}))
	s.Bury(4)
	for _, args := range [][]string{{"ls"}, {"show", "1"}, {"replay", "1-2", "--yes"}, {"rm", "3", "--yes"}} {
		if _, errOut := s.DLQAs("operator", 0, args...); errOut != "" {
			t.Errorf("dlq %v: %s", args, errOut)
		}
	}
	if s.Stored("SESSIONS") != 2 || s.Stored("SESSIONS_DLQ") != 1 {
		t.Errorf("%d events, %d letters", s.Stored("SESSIONS"), s.Stored("SESSIONS_DLQ"))
	}
}

// What can't be deleted is published once, and only the first: the next run finds it published.
func TestAReplayThatMayNotDeleteStopsAtTheFirst(t *testing.T) {
	t.Parallel()
	publisher := slices.DeleteFunc(documented(t, "dlq"), func(s string) bool { return strings.Contains(s, "DELETE") })
	s := testsite.NewGraveyard(t, "--config", withUsers(t, map[string][]string{"publisher": publisher}))
	s.Bury(20)
	out, _ := s.DLQAs("publisher", 1, "replay", "--all", "--yes")
	wantIn(t, out, "replayed 0 of 20 dead letters, 20 left\n")
	if s.Stored("SESSIONS") != 1 || s.Stored("SESSIONS_DLQ") != 20 {
		t.Errorf("%d events, %d letters", s.Stored("SESSIONS"), s.Stored("SESSIONS_DLQ"))
	}
	out, _ = s.DLQ(0, "replay", "--all", "--yes")
	wantIn(t, out, "replayed 20 of 20 dead letters, 1 had been published before\n")
	if s.Stored("SESSIONS") != 20 || s.Stored("SESSIONS_DLQ") != 0 {
		t.Errorf("%d events, %d letters", s.Stored("SESSIONS"), s.Stored("SESSIONS_DLQ"))
	}
}

// A replay is killed again and again; every event is published, and none twice.
func TestAReplayThatIsKilledLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	s := testsite.NewGraveyard(t)
	n := 0
	for kills := 0; kills < 4; {
		left := s.Stored("SESSIONS_DLQ")
		if left < 1000 {
			s.Bury(3000)
			n, left = n+3000, left+3000
		}
		p := testproc.Start(t, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), "dlq", "replay", "--all", "--yes")
		testproc.WaitFor(t, "letters to be replayed", func() bool { return s.Stored("SESSIONS_DLQ") < left-500 })
		_ = p.Cmd.Process.Kill() // it may be through already
		if p.Wait() != 0 {
			kills++
		}
	}
	s.DLQ(0, "replay", "--all", "--yes")
	if s.Stored("SESSIONS") != n || s.Stored("SESSIONS_DLQ") != 0 {
		t.Errorf("%d events of %d, %d letters", s.Stored("SESSIONS"), n, s.Stored("SESSIONS_DLQ"))
	}
}

func TestAnInterruptedReplayStopsBetweenLettersAndSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	s := testsite.NewGraveyard(t)
	const n = 2000
	s.Bury(n)
	p := testproc.Start(t, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), "dlq", "replay", "--all", "--yes", "--rate", "200")
	testproc.WaitFor(t, "letters to be replayed", func() bool { return s.Stored("SESSIONS_DLQ") < n-10 })
	p.Signal(syscall.SIGINT)
	if code := p.Wait(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	left := s.Stored("SESSIONS_DLQ")
	wantIn(t, p.Stdout.String(), fmt.Sprintf("replayed %d of %d dead letters, %d left\n", n-left, n, left))
	wantIn(t, p.Stderr.String(), "interrupted; the same command goes on where it stopped")
	if s.Stored("SESSIONS") != n-left || left == 0 {
		t.Errorf("%d events, %d letters left", s.Stored("SESSIONS"), left)
	}
}

// The server is away for a while, and back.
func TestAReplayOutlastsARestartOfTheServer(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	server := s.StartNATS()
	s.StartWorker().Signal(os.Interrupt) // creates the streams
	const n = 1000
	s.Bury(n)
	p := testproc.Start(t, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), "dlq", "replay", "--all", "--yes", "--rate", "500")
	testproc.WaitFor(t, "letters to be replayed", func() bool { return s.Stored("SESSIONS_DLQ") < n-10 })
	server.Signal(syscall.SIGTERM)
	server.Wait()
	s.StartNATS()
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.Stderr.String())
	}
	if s.Stored("SESSIONS") != n || s.Stored("SESSIONS_DLQ") != 0 {
		t.Errorf("%d events of %d, %d letters; %s", s.Stored("SESSIONS"), n, s.Stored("SESSIONS_DLQ"), p.Stdout.String())
	}
}

// Another operator is at work on the same letters.
func TestLettersThatAreGoneAreCounted(t *testing.T) {
	t.Parallel()
	s := testsite.NewGraveyard(t)
	s.Bury(100)
	p := testproc.StartOnTerminal(t, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), "dlq", "replay", "--all")
	testproc.WaitFor(t, "question", func() bool { return strings.Contains(p.Stdout.String(), "? [y/N]") })
	s.DLQ(0, "rm", "--reason", events.ReasonRetriesExhausted, "--yes")
	s.Bury(10) // and some arrive
	_, _ = p.Stdin.Write([]byte("y\n"))
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	wantIn(t, p.Stdout.String(), "replayed 90 of 100 dead letters, 10 already gone")
	if s.Stored("SESSIONS") != 90 || s.Stored("SESSIONS_DLQ") != 10 {
		t.Errorf("%d events, %d letters", s.Stored("SESSIONS"), s.Stored("SESSIONS_DLQ"))
	}
}

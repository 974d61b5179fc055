package systemtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// documented returns the subjects that deploy/nats/README.md lists below a heading.
func documented(t testing.TB, heading string) (subjects []string) {
	t.Helper()
	_, text, found := strings.Cut(testproc.ReadFile(t, "deploy/nats/README.md"), "\n### "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n#")
	for _, match := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
		subjects = append(subjects, match[1])
	}
	if !found || len(subjects) == 0 {
		t.Fatalf("deploy/nats/README.md lists no subjects below %q", heading)
	}
	return subjects
}

// workerSubjects are what `revoker run` needs, and what it needs to create what is missing.
func workerSubjects(t testing.TB) (needed, creating []string) {
	t.Helper()
	return documented(t, "The worker"), documented(t, "Creating what is missing")
}

// The documented permissions are enough, first for an account that creates what is missing, then for one that may not.
func TestTheDocumentedPermissionsAreEnough(t *testing.T) {
	t.Parallel()
	needed, creating := workerSubjects(t)
	needed = append(needed, documented(t, "Receipts")...)
	const receipts = "REVOKER_RECEIPTS=true"
	quote := func(subjects []string) string { return `"` + strings.Join(subjects, `", "`) + `"` }
	file := filepath.Join(t.TempDir(), "nats.conf")
	content := fmt.Sprintf(`authorization { users = [
		{user: admin, password: admin}
		{user: creator, password: pw, permissions: {publish: [%s], subscribe: "_INBOX.>"}}
		{user: worker, password: pw, permissions: {publish: [%s], subscribe: "_INBOX.>"}}
	] }`, quote(append(creating, needed...)), quote(needed))
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s := testsite.New(t, testsite.Simulator{Bad: 10, Failing: 10})
	s.StartNATS("--config", file)

	w := testproc.Start(t, s.Env("NATS_USER=worker", "NATS_PASSWORD=pw", receipts), testproc.Binary(t, "revoker"), "run")
	if code := w.Wait(); code != 1 || !strings.Contains(w.Stderr.String(), "creating stream SESSIONS: the account's permissions do not allow it") {
		t.Errorf("with nothing there: exit code %d, %s", code, w.Stderr.String())
	}
	for round, user := range []string{"creator", "worker"} {
		w := s.StartWorker("NATS_USER="+user, "NATS_PASSWORD=pw", receipts)
		s.Publish(100*round, 100*(round+1))
		s.WaitDone()
		if n := len(s.DeadLetters("CALLER_ERROR")); n != 10*(round+1) {
			t.Errorf("%s: %d dead letters, want %d", user, n, 10*(round+1))
		}
		if strings.Contains(strings.ToLower(w.Stderr.String()), "permission") {
			t.Errorf("%s lacks a permission:\n%s", user, w.Stderr.String())
		}
		w.Signal(os.Interrupt)
		w.Wait()
	}
}

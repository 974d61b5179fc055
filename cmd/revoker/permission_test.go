package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documented returns the subjects that deploy/nats/README.md lists below a heading.
func documented(t testing.TB, heading string) (subjects []string) {
	t.Helper()
	_, text, found := strings.Cut(readFile(t, "deploy/nats/README.md"), "\n### "+heading+"\n")
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
	s := newSite(t, simulator{Bad: 10, Failing: 10})
	s.startNATS("--config", file)

	w := start(t, s.env("NATS_USER=worker", "NATS_PASSWORD=pw"), binary(t, "revoker"), "run")
	if code := w.wait(); code != 1 || !strings.Contains(w.stderr.String(), "creating stream SESSIONS: the account's permissions do not allow it") {
		t.Errorf("with nothing there: exit code %d, %s", code, w.stderr.String())
	}
	for round, user := range []string{"creator", "worker"} {
		w := s.startWorker("NATS_USER="+user, "NATS_PASSWORD=pw")
		s.publish(100*round, 100*(round+1))
		s.waitDone()
		if n := len(s.deadLetters("CALLER_ERROR")); n != 10*(round+1) {
			t.Errorf("%s: %d dead letters, want %d", user, n, 10*(round+1))
		}
		if strings.Contains(strings.ToLower(w.stderr.String()), "permission") {
			t.Errorf("%s lacks a permission:\n%s", user, w.stderr.String())
		}
		w.signal(os.Interrupt)
		w.wait()
	}
}

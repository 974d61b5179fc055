//go:build tools

package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"revoker/internal/testproc"
)

// firstBefore is the version before as long as nothing is tagged.
const firstBefore = "70e6de28f074d109168a49fada7b75996c55f64d"

// versionBefore builds the version before from the repository's history: the newest tag before this commit. Where
// the history is missing, as in a release's archive or a shallow clone, it fails the test and says what to do.
func versionBefore(t *testing.T) string {
	t.Helper()
	root := testproc.Repository(t)
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		t.Fatal("there is no .git folder, so no version before to upgrade from: run this test in a clone")
	}
	commit := firstBefore
	if tag, err := exec.Command("git", "-C", root, "describe", "--tags", "--abbrev=0", "HEAD^").Output(); err == nil {
		commit = strings.TrimSpace(string(tag))
	}
	folder := t.TempDir()
	archive, program := filepath.Join(folder, "source.tar"), filepath.Join(folder, "revoker-before")
	run(t, root, "git", "archive", "--output", archive, commit)
	run(t, folder, "tar", "-xf", archive)
	run(t, folder, "go", "build", "-buildvcs=false", "-ldflags", "-X main.version=before", "-o", program, "./cmd/revoker")
	t.Logf("the version before is %s", commit)
	return program
}

func run(t *testing.T, folder, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s\nIf the commit is missing, the clone is shallow: git fetch --unshallow --tags", name, strings.Join(args, " "), err, out)
	}
}

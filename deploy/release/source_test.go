package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	root        = "../.."
	releaseDate = "2026-01-02"
)

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, text string, elements ...string) {
	t.Helper()
	path := filepath.Join(elements...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// command runs a command in a folder and returns what it printed.
func command(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	// Git's settings of this machine change neither a commit nor an archive.
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull, "GOFLAGS=-buildvcs=auto", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v %s", name, strings.Join(args, " "), err, errorOutput(err))
	}
	return strings.TrimSpace(string(out))
}

func errorOutput(err error) string {
	if exit, is := err.(*exec.ExitError); is {
		return string(exit.Stderr)
	}
	return ""
}

// theVersion is the one that the chart is for.
func theVersion(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^appVersion: (\S+)$`).FindStringSubmatch(read(t, root, chartFolder, "Chart.yaml"))
	if found == nil {
		t.Fatal("the chart has no appVersion")
	}
	return found[1]
}

// newClone returns a repository whose one commit is the sources as they lie here, released: the changelog has a date for the version,
// and the commit is tagged.
func newClone(t *testing.T) string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	for _, name := range strings.Split(command(t, root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00") {
		info, err := os.Lstat(filepath.Join(root, name))
		if name == "" || err != nil || !info.Mode().IsRegular() {
			continue // removed, and not committed yet
		}
		write(t, read(t, root, name), clone, name)
	}
	changelog := read(t, clone, "CHANGELOG.md")
	if _, err := readNotes(clone, theVersion(t)); err != nil {
		changelog = strings.Replace(changelog, "## Unreleased\n", "## Unreleased\n\n## "+theVersion(t)+" - "+releaseDate+"\n", 1)
		write(t, changelog, clone, "CHANGELOG.md")
	}
	command(t, clone, "git", "init", "--quiet")
	command(t, clone, "git", "add", ".")
	command(t, clone, "git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "-m", "release")
	command(t, clone, "git", "tag", theVersion(t))
	return clone
}

// unpacked returns the source archive of a repository in another place, with other times.
func unpacked(t *testing.T, clone string) string {
	t.Helper()
	folder := t.TempDir()
	archive := filepath.Join(folder, "source.tar")
	command(t, clone, "git", "archive", "--prefix=elsewhere/below/", "--output", archive, "HEAD")
	command(t, folder, "tar", "-xf", archive)
	elsewhere := filepath.Join(folder, "elsewhere", "below")
	past := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	err := filepath.WalkDir(elsewhere, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, past, past)
	})
	if err != nil {
		t.Fatal(err)
	}
	return elsewhere
}

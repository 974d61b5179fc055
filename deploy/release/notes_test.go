package main

import (
	"regexp"
	"strings"
	"testing"
)

// What is not in the changelog is not released.
func TestAVersionNeedsNotes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, "# Changelog\n\n## Unreleased\n\n- next\n\n## v0.3.0\n\n- undated\n\n## v0.2.0 - 2026-03-04\n\n### Added\n\n- two\n\n## v0.1.0 - 2026-02-30\n\n- one\n\n## v0.0.1 - 2026-01-01\n", folder, "CHANGELOG.md")
	for version, want := range map[string]string{
		"v0.4.0": "no section", "v0.3.0": "no date", "v0.1.0": "the date of v0.1.0", "v0.0.1": "says nothing", "v0.2": "no section",
	} {
		if _, err := readNotes(folder, version); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", version, err, want)
		}
	}
	notes, err := readNotes(folder, "v0.2.0")
	if err != nil || notes.text != "### Added\n\n- two\n" || notes.date.String() != "2026-03-04 00:00:00 +0000 UTC" {
		t.Errorf("%+v, %v", notes, err)
	}
}

func TestThePlatformsAreChecked(t *testing.T) {
	t.Parallel()
	if p, err := parsePlatforms(allPlatforms); err != nil || len(p) != 4 || p[3] != (platform{"darwin", "arm64"}) {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := parsePlatforms("linux/amd64,plan9/386"); err == nil || !strings.Contains(err.Error(), `"plan9/386"`) {
		t.Errorf("%v", err)
	}
}

// The page's commands are there, and for the version that comes next.
func TestTheDocumentedCommands(t *testing.T) {
	t.Parallel()
	page := read(t, "README.md")
	commands := regexp.MustCompile("(?m)go run -C deploy/release \\. (\\w+) (\\S+?)(`|$)").FindAllStringSubmatch(page, -1)
	for _, command := range commands {
		if !strings.Contains(usage, " . "+command[1]+" ") || command[2] != theVersion(t) {
			t.Errorf("%s", command[0])
		}
	}
	if len(commands) < 2 {
		t.Error("the page does not say how to build a release")
	}
}

func TestAnotherGoIsRefused(t *testing.T) {
	t.Parallel()
	want, err := goToolchain()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkGo(want); err != nil {
		t.Error(err)
	}
	if err := checkGo("go1.99.0"); err == nil || !strings.Contains(err.Error(), "GOTOOLCHAIN="+want) {
		t.Error(err)
	}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// release is what is to be built.
type release struct {
	source, out string
	version     string
	date        time.Time // of every file in an archive
	platforms   []platform
}

var versionPattern = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// build fills the folder out, which must not exist, so that nothing else gets in.
func build(r release) error {
	if !versionPattern.MatchString(r.version) {
		return fmt.Errorf("%q is not a version such as v1.2.3", r.version)
	}
	commit, err := findCommit(r.source)
	if err != nil {
		return err
	}
	if err := os.Mkdir(r.out, 0o755); err != nil {
		return err
	}
	if err := packChart(r); err != nil {
		return fmt.Errorf("the chart: %w", err)
	}
	scratch, err := os.MkdirTemp("", "revoker-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	for _, p := range r.platforms {
		if err := buildPlatform(r, p, commit, filepath.Join(scratch, p.os+"-"+p.arch)); err != nil {
			return fmt.Errorf("%s/%s: %w", p.os, p.arch, err)
		}
	}
	return writeChecksums(r.out)
}

// findCommit returns the commit of a clone without changes, or of a source archive: Git writes it into commit.go there.
func findCommit(source string) (string, error) {
	if _, err := os.Stat(filepath.Join(source, ".git")); errors.Is(err, os.ErrNotExist) {
		text, err := os.ReadFile(filepath.Join(source, "cmd", "revoker", "commit.go"))
		if err != nil {
			return "", err
		}
		if found := regexp.MustCompile(`"([0-9a-f]{40})"`).FindSubmatch(text); found != nil {
			return string(found[1]), nil
		}
		return "", errors.New("the commit is not known: build from a clone, or from an archive that `git archive` made")
	}
	changed, err := git(source, "status", "--porcelain")
	if err != nil {
		return "", err
	}
	if changed != "" {
		return "", fmt.Errorf("the clone differs from its commit:\n%s", changed)
	}
	return git(source, "rev-parse", "HEAD")
}

func git(source string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = source
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

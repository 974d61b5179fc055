package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const workflows = ".github/workflows"

// actionlint knows the syntax of workflows, the types of expressions, and scripts that run what a stranger wrote.
func TestTheWorkflowsAreValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, workflows, "*.yml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v: %v", files, err)
	}
	if out, err := exec.Command("go", append([]string{"tool", "actionlint", "-shellcheck=", "-pyflakes="}, files...)...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// An action is named by its commit, for a tag may be moved to other code. The comment says which version the commit is.
func TestActionsAreNamedByTheirCommit(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(filepath.Join(root, workflows))
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	versions := map[string]string{}
	for _, entry := range entries {
		text := read(t, root, workflows, entry.Name())
		for _, used := range regexp.MustCompile(`(?m)uses: (.*)$`).FindAllStringSubmatch(text, -1) {
			name, commit, _ := strings.Cut(used[1], "@")
			if local := strings.HasPrefix(name, "./"); !local && !pinned.MatchString(used[1]) {
				t.Errorf("%s uses %s", entry.Name(), used[1])
			}
			if versions[name] != "" && versions[name] != commit {
				t.Errorf("%s is used in two versions", name)
			}
			versions[name] = commit
		}
		// The rights of a token are those that a workflow or a job asks for, and a workflow asks for no more than to read.
		if !regexp.MustCompile(`(?m)^permissions:( \{\}|\n  contents: read\n\n)`).MatchString(text) {
			t.Errorf("%s does not begin with the least permissions", entry.Name())
		}
	}
	if len(versions) < 5 {
		t.Errorf("only %v", versions)
	}
}

// Each step of .ci/run is a job.
func TestTheWorkflowRunsEachStep(t *testing.T) {
	t.Parallel()
	steps := regexp.MustCompile(`(?m)^all_steps=\(([a-z ]+)\)`).FindStringSubmatch(read(t, root, ".ci/run"))
	if steps == nil {
		t.Fatal(".ci/run has no steps")
	}
	if want := "step: [" + strings.ReplaceAll(steps[1], " ", ", ") + "]"; !strings.Contains(read(t, root, workflows, "ci.yml"), want) {
		t.Errorf("ci.yml has no %q", want)
	}
}

// The checks run in the image in which the Dockerfile builds.
func TestTheWorkflowUsesTheImageOfTheDockerfile(t *testing.T) {
	t.Parallel()
	image := regexp.MustCompile(`(?m)^ARG GO_IMAGE=(\S+)$`).FindStringSubmatch(read(t, root, "deploy/docker/Dockerfile"))
	if image == nil || !strings.Contains(read(t, root, workflows, "ci.yml"), "container: "+image[1]+"\n") {
		t.Errorf("ci.yml does not run in %v", image)
	}
}

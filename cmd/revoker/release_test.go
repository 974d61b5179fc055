package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"revoker/internal/testproc"
)

// first is the first group of the first match.
func first(t *testing.T, pattern, text string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("no %s", pattern)
	}
	return match[1]
}

// The changelog has what Keep a Changelog asks for. The newest version is the chart's, or the chart's is the next one.
func TestTheChangelogIsKept(t *testing.T) {
	t.Parallel()
	text := testproc.ReadFile(t, "CHANGELOG.md")
	version := first(t, `(?m)^appVersion: (\S+)$`, testproc.ReadFile(t, "deploy/helm/revoker/Chart.yaml"))
	sections := strings.Split(text, "\n## ")[1:]
	for i, section := range sections {
		title, body, _ := strings.Cut(section, "\n")
		switch {
		case i == 0 && title != "Unreleased":
			t.Errorf("it begins with %q, not with what is unreleased", title)
		case i == 1 && !strings.HasPrefix(title, version+" "):
			t.Errorf("its newest version is %q, the chart is for %s", title, version)
		case i > 0 && !regexp.MustCompile(`^v\d+\.\d+\.\d+\S* - \d{4}-\d{2}-\d{2}$`).MatchString(title):
			t.Errorf("%q is not a version with the date of its release", title)
		}
		kinds := map[string]int{}
		for _, kind := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(body, -1) {
			if kinds[kind[1]]++; kinds[kind[1]] > 1 || !slices.Contains([]string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}, kind[1]) {
				t.Errorf("%s: %s is no kind of change, or stands there twice", title, kind[1])
			}
		}
	}
	if len(sections) == 0 {
		t.Error("it has no sections")
	}
}

// The versions that are written down are those of the build and of the tests.
func TestVersionsAgree(t *testing.T) {
	t.Parallel()
	chart := testproc.ReadFile(t, "deploy/helm/revoker/Chart.yaml")
	version := first(t, `(?m)^appVersion: (\S+)$`, chart)
	if got := first(t, `(?m)^version: (\S+)$`, chart); "v"+got != version {
		t.Errorf("the chart is for %s, its own version is %s", version, got)
	}
	if !strings.Contains(testproc.ReadFile(t, "deploy/README.md"), "-t revoker:"+version+" .") {
		t.Errorf("deploy/README.md does not build %s", version)
	}
	image := first(t, `(?m)^ARG GO_IMAGE=golang:(\S+)@`, testproc.ReadFile(t, "deploy/docker/Dockerfile"))
	if got := first(t, `(?m)^go (\S+)$`, testproc.ReadFile(t, "deploy/release/go.mod")); got != image {
		t.Errorf("the programs of a release are built with Go %s, the image with %s", got, image)
	}
	if got := first(t, `(?m)^  version: (\S+)$`, testproc.ReadFile(t, "events/asyncapi.yaml")); "v"+got != version {
		t.Errorf("events/asyncapi.yaml is of version %s, the chart is for %s", got, version)
	}
	server := first(t, `(?m)github\.com/nats-io/nats-server/v2 v(\S+)$`, testproc.ReadFile(t, "go.mod"))
	if !strings.Contains(testproc.ReadFile(t, "deploy/nats/README.md"), "The tests run against "+server+",") {
		t.Errorf("deploy/nats/README.md does not say that the tests run against NATS server %s", server)
	}
}

package main

import (
	"regexp"
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

// The versions that are written down are those of the build and of the tests.
func TestVersionsAgree(t *testing.T) {
	t.Parallel()
	newest := first(t, `(?m)^## (v\S+?),? `, testproc.ReadFile(t, "CHANGELOG.md"))
	chart := testproc.ReadFile(t, "deploy/helm/revoker/Chart.yaml")
	if got := first(t, `(?m)^appVersion: (\S+)$`, chart); got != newest || "v"+first(t, `(?m)^version: (\S+)$`, chart) != newest {
		t.Errorf("the chart is for %s, the changelog's newest version is %s", got, newest)
	}
	if !strings.Contains(testproc.ReadFile(t, "deploy/README.md"), "-t revoker:"+newest+" .") {
		t.Errorf("deploy/README.md does not build %s", newest)
	}
	if got := first(t, `(?m)^  version: (\S+)$`, testproc.ReadFile(t, "events/asyncapi.yaml")); "v"+got != newest {
		t.Errorf("events/asyncapi.yaml is of version %s, the changelog's newest version is %s", got, newest)
	}
	server := first(t, `(?m)github\.com/nats-io/nats-server/v2 v(\S+)$`, testproc.ReadFile(t, "go.mod"))
	if !strings.Contains(testproc.ReadFile(t, "deploy/nats/README.md"), "The tests run against "+server+",") {
		t.Errorf("deploy/nats/README.md does not say that the tests run against NATS server %s", server)
	}
}

package main

import (
	"encoding/json"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// said runs a command that must succeed, and returns what it printed.
func said(t *testing.T, args ...string) string {
	t.Helper()
	var out, errOut strings.Builder
	if code := run(args, strings.NewReader(""), &out, &errOut); code != 0 {
		t.Fatalf("revoker %v: exit code %d: %s", args, code, errOut.String())
	}
	return out.String()
}

func TestVersionIsSaidInEachWay(t *testing.T) {
	t.Parallel()
	line := said(t, "version")
	if flag := said(t, "--version"); flag != line || !strings.HasPrefix(line, "revoker ") {
		t.Errorf("--version says %q, version says %q", flag, line)
	}
	var b build
	if err := json.Unmarshal([]byte(said(t, "version", "--json")), &b); err != nil {
		t.Fatal(err)
	}
	if b.Version == "" || line != "revoker version "+b.Version+" ("+b.Go+", "+b.OS+"/"+b.Arch+")\n" {
		t.Errorf("%+v is not what %q says", b, line)
	}
	cobra := slices.IndexFunc(b.Dependencies, func(d dependency) bool { return d.Path == "github.com/spf13/cobra" })
	if cobra < 0 || !strings.HasPrefix(b.Dependencies[cobra].Version, "v") || b.Dependencies[cobra].Sum == "" {
		t.Errorf("the dependencies are %+v", b.Dependencies)
	}
}

func TestBuildsAreDescribed(t *testing.T) {
	t.Parallel()
	const revision = "0123456789abcdef0123456789abcdef01234567"
	stamped := func(modified, version string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: revision}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: modified},
		}}
	}
	for name, c := range map[string]struct {
		info                  *debug.BuildInfo
		version, commit, time string
	}{
		"nothing is known": {nil, "devel", "", ""},
		"a clean tree":     {stamped("false", "(devel)"), "devel-0123456789ab", revision, "2026-01-02T03:04:05Z"},
		"a changed tree":   {stamped("true", ""), "devel-0123456789ab-dirty", revision, "2026-01-02T03:04:05Z"},
		"a module":         {stamped("false", "v1.2.3"), "v1.2.3", revision, "2026-01-02T03:04:05Z"},
	} {
		b := describeBuild(c.info)
		if b.Version != c.version || b.Commit != c.commit || b.CommitTime != c.time || b.Dependencies == nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

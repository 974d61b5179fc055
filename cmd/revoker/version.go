package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
)

// version is set by a release build: -ldflags "-X main.version=v1.2.3".
var version = ""

// build is what is known about the program.
type build struct {
	Version      string       `json:"version"`
	Commit       string       `json:"commit,omitempty"`
	CommitTime   string       `json:"commitTime,omitempty"`
	Modified     bool         `json:"modified,omitempty"` // the working tree differed from the commit
	Go           string       `json:"go"`
	OS           string       `json:"os"`
	Arch         string       `json:"arch"`
	Dependencies []dependency `json:"dependencies"`
}

type dependency struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"`
}

// describeBuild puts the release's words before what the compiler noted. info may be nil.
func describeBuild(info *debug.BuildInfo) build {
	b := build{Version: version, Commit: knownCommit(commit), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Dependencies: []dependency{}}
	if info == nil {
		info = &debug.BuildInfo{}
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.CommitTime = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		b.Dependencies = append(b.Dependencies, dependency{module.Path, module.Version, module.Sum})
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = develVersion(b)
	}
	return b
}

// knownCommit is empty for a question that Git has not answered.
func knownCommit(text string) string {
	if strings.HasPrefix(text, "$") {
		return ""
	}
	return text
}

// develVersion names a build that is no release by its commit.
func develVersion(b build) string {
	text := "devel"
	if len(b.Commit) >= 12 {
		text += "-" + b.Commit[:12]
	}
	if b.Modified {
		text += "-dirty"
	}
	return text
}

var thisBuild = sync.OnceValue(func() build {
	info, _ := debug.ReadBuildInfo()
	return describeBuild(info)
})

// currentVersion is the release's version, or else what the build knows: the module version or the commit.
func currentVersion() string { return thisBuild().Version }

// versionText is what --version prints after cobra's own words. A template of our own would bring text/template, which keeps the linker
// from leaving out any exported method.
func versionText() string {
	b := thisBuild()
	return fmt.Sprintf("%s (%s, %s/%s)", b.Version, b.Go, b.OS, b.Arch)
}

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Prints the version",
		Long: `Prints the version. --json adds the commit, if the build knows it, and the
modules that the program is built from.`,
		Example: "  revoker version\n  revoker version --json | jq -r '.dependencies[] | \"\\(.path) \\(.version)\"'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return exit.Problem(terminal.WriteJSON(cmd.OutOrStdout(), thisBuild()))
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "revoker version %s\n", versionText())
			return exit.Problem(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

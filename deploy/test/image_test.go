package deploy_test

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// image is what a Dockerfile's last stage comes to.
type image struct {
	folder      string // its root file system
	env         []string
	user        string
	entrypoint  []string
	command     []string
	healthcheck []string
	ports       []string
	labels      map[string]string
}

// stage is a stage that is being built. Its working directory is a folder of this machine's; outside of that a build stage has
// what this machine has, which must therefore have what the stage's base image has.
type stage struct {
	image
	base, platform string // of FROM
	workdir        string // as the Dockerfile calls it
	args           []string
}

// builder runs a Dockerfile's instructions without an engine.
type builder struct {
	t       *testing.T
	context string
	ignored *patternmatcher.PatternMatcher
	args    map[string]string
	parsed  []instructions.Stage
	stages  map[string]*stage // by name
}

// build runs deploy/docker/Dockerfile in a context, with build arguments.
func build(t *testing.T, context string, args map[string]string) image {
	t.Helper()
	b := newBuilder(t, context, args)
	var last *stage
	for _, s := range b.parsed {
		last = b.stages[s.Name]
		for _, command := range s.Commands {
			b.do(last, command)
		}
	}
	if last.base != "scratch" || last.platform != "" {
		t.Errorf("the image is made from %s for %q", last.base, last.platform)
	}
	return last.image
}

// newBuilder reads the Dockerfile. Of its stages only what FROM says is known then.
func newBuilder(t *testing.T, context string, args map[string]string) *builder {
	t.Helper()
	const folder = "deploy/docker"
	parsed, err := parser.Parse(strings.NewReader(read(t, context, folder, "Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Warnings) > 0 {
		t.Errorf("warnings: %+v", parsed.Warnings)
	}
	stages, global, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, context, folder, "Dockerfile.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{t: t, context: context, ignored: ignored, parsed: stages, stages: map[string]*stage{}}
	// The arguments that BuildKit sets by itself.
	b.args = map[string]string{"BUILDPLATFORM": "linux/" + runtime.GOARCH, "TARGETOS": "linux", "TARGETARCH": runtime.GOARCH}
	maps.Copy(b.args, args)
	outside := &stage{}
	outside.args = append(outside.args, "BUILDPLATFORM="+b.args["BUILDPLATFORM"])
	for _, command := range global {
		b.do(outside, &command)
	}
	for _, s := range stages {
		b.stages[s.Name] = &stage{
			image: image{folder: t.TempDir(), labels: map[string]string{}},
			base:  b.expand(outside, s.BaseName), platform: b.expand(outside, s.Platform),
		}
	}
	return b
}

// expand replaces the variables of a stage in a word.
func (b *builder) expand(s *stage, word string) string {
	b.t.Helper()
	expanded, unset, err := shell.NewLex('\\').ProcessWord(word, shell.EnvsFromSlice(append(slices.Clone(s.args), s.env...)))
	if err != nil || len(unset) > 0 {
		b.t.Fatalf("%s: %v, not set: %v", word, err, unset)
	}
	return expanded
}

func (b *builder) do(s *stage, command instructions.Command) {
	b.t.Helper()
	switch c := command.(type) {
	case *instructions.WorkdirCommand:
		s.workdir = c.Path
	case *instructions.ArgCommand:
		for _, arg := range c.Args {
			value, given := b.args[arg.Key]
			if !given && arg.Value != nil {
				value = *arg.Value
			}
			s.args = append(s.args, arg.Key+"="+value)
		}
	case *instructions.EnvCommand:
		for _, pair := range c.Env {
			s.env = append(s.env, pair.Key+"="+pair.Value)
		}
	case *instructions.LabelCommand:
		for _, pair := range c.Labels {
			s.labels[strings.Trim(pair.Key, `"`)] = b.expand(s, pair.Value)
		}
	case *instructions.CopyCommand:
		b.copy(s, c)
	case *instructions.RunCommand:
		b.run(s, c)
	case *instructions.UserCommand:
		s.user = c.User
	case *instructions.ExposeCommand:
		s.ports = append(s.ports, c.Ports...)
	case *instructions.HealthCheckCommand:
		s.healthcheck = c.Health.Test
	case *instructions.EntrypointCommand:
		s.entrypoint = c.CmdLine
	case *instructions.CmdCommand:
		s.command = c.CmdLine
	default:
		b.t.Fatalf("this test can't do %s", command)
	}
}

func (b *builder) run(s *stage, c *instructions.RunCommand) {
	b.t.Helper()
	if len(c.CmdLine) != 1 {
		b.t.Fatalf("%s: only the shell form is known here", c)
	}
	cmd := exec.Command("/bin/sh", "-c", c.CmdLine[0])
	cmd.Dir = s.folder
	cmd.Env = append(append(os.Environ(), s.args...), s.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("%s: %v\n%s", c, err, out)
	}
}

// copy copies from the context, what is ignored left out, or from another stage's working directory.
func (b *builder) copy(s *stage, c *instructions.CopyCommand) {
	b.t.Helper()
	from, ignored := b.context, b.ignored
	if c.From != "" {
		from, ignored = b.stages[c.From].folder, nil
	}
	for _, source := range c.SourcePaths {
		if c.From != "" {
			source = strings.TrimPrefix(source, b.stages[c.From].workdir)
		}
		target := filepath.Join(s.folder, strings.TrimPrefix(c.DestPath, s.workdir))
		if strings.HasSuffix(c.DestPath, "/") && len(c.SourcePaths) > 1 || c.DestPath == "./" {
			target = filepath.Join(target, filepath.Base(source))
		}
		b.copyTree(from, filepath.Clean(strings.TrimPrefix(source, "/")), target, ignored)
	}
}

func (b *builder) copyTree(from, source, target string, ignored *patternmatcher.PatternMatcher) {
	b.t.Helper()
	err := filepath.WalkDir(filepath.Join(from, source), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inContext, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if ignored != nil && !entry.IsDir() {
			if skip, err := ignored.MatchesOrParentMatches(inContext); err != nil || skip {
				return err
			}
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(filepath.Join(from, source), path)
		if err != nil {
			return err
		}
		copied := filepath.Join(target, below)
		if !entry.IsDir() {
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(copied, text, info.Mode())
			}
			return err
		}
		if err := os.MkdirAll(copied, 0o755); err != nil || below == "." {
			return err
		}
		return os.Chmod(copied, info.Mode())
	})
	if err != nil {
		b.t.Fatalf("COPY %s: %v", source, err)
	}
}

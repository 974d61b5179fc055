package main

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"revoker/config"
	"revoker/internal/testproc"
)

const (
	maxREADME   = 220 // lines
	maxDocument = 300
)

// unlimited may be longer: its length is the number of variables.
const unlimited = "config/README.md"

// documents are the repository's Markdown files, by their paths.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir("../..", func(file string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && strings.HasPrefix(name, ".") && name != ".." {
			return filepath.SkipDir
		}
		if strings.HasSuffix(file, ".md") {
			name, err := filepath.Rel("../..", file)
			if err != nil {
				return err
			}
			texts[filepath.ToSlash(name)] = testproc.ReadFile(t, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) < 10 {
		t.Fatalf("only %d documents", len(texts))
	}
	return texts
}

// anchors are the fragments by which the headings of a document are reached, as Git hosts make them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		found[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, match[1])] = true
	}
	return found
}

func TestDocumentsAreShort(t *testing.T) {
	t.Parallel()
	for name, text := range documents(t) {
		limit := maxDocument
		if name == "README.md" {
			limit = maxREADME
		}
		if lines := strings.Count(text, "\n"); lines > limit && name != unlimited {
			t.Errorf("%s has %d lines, more than %d", name, lines, limit)
		}
	}
}

func TestLinksOfDocumentsResolve(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	links := 0
	for name, text := range texts {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			links++
			target, fragment, hasFragment := strings.Cut(match[1], "#")
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join("../..", file)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, match[1])
			} else if hasFragment && !anchors(texts[file])[fragment] {
				t.Errorf("%s links to %s, and %s has no such heading", name, match[1], file)
			}
		}
	}
	if links < 30 {
		t.Errorf("only %d links", links)
	}
}

// The README's map leads to every document, but for the runbooks: they have a table of their own.
func TestEveryDocumentIsOnTheMap(t *testing.T) {
	t.Parallel()
	const alerts = "deploy/prometheus/"
	texts := documents(t)
	for name := range texts {
		from, link := "README.md", name
		if strings.HasPrefix(name, alerts+"runbooks/") {
			from, link = alerts+from, strings.TrimPrefix(name, alerts)
		}
		if name != "README.md" && !strings.Contains(texts[from], "]("+link+")") {
			t.Errorf("%s has no link to %s", from, name)
		}
	}
}

// The README's short table has the names and defaults of the whole one.
func TestTheFirstVariablesAreAsDeclared(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	if err := config.WriteMarkdown(&table); err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `[A-Z_]+` \\| [^|]*\\|").FindAllString(testproc.ReadFile(t, "README.md"), -1)
	for _, row := range rows {
		if !strings.Contains(table.String(), row) {
			t.Errorf("the configuration has no variable with this name and default: %s", row)
		}
	}
	if len(rows) != 8 {
		t.Errorf("%d variables, want 8", len(rows))
	}
}

// The command of deploy/prometheus/README.md gives each alert a link to its runbook, which is a page of its own.
func TestEveryAlertLinksToItsRunbook(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	readme := texts["deploy/prometheus/README.md"]
	command := first(t, `(?ms)^    (awk -v base=.*?) > revoker\.rules\.yml$`, readme)
	base := first(t, `base=(\S+)`, command)
	shell := exec.Command("sh", "-c", command)
	shell.Dir = "../.."
	rules, err := shell.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	blocks := strings.Split(string(rules), "\n      - alert: ")[1:]
	if len(blocks) < 6 || len(blocks) != strings.Count(testproc.ReadFile(t, "deploy/prometheus/revoker.rules.yml"), "- alert: ") {
		t.Fatalf("%d alerts", len(blocks))
	}
	for _, block := range blocks {
		alert, text, _ := strings.Cut(block, "\n")
		if !strings.HasPrefix(base, "https://") || !strings.Contains(text, "\n          runbook_url: "+base+"/"+alert+".md\n") {
			t.Errorf("%s has no link to its runbook:\n%s", alert, text)
		}
		if runbook := texts["deploy/prometheus/runbooks/"+alert+".md"]; !strings.HasPrefix(runbook, "# "+alert+"\n\n") {
			t.Errorf("%s has no runbook", alert)
		}
		severity := first(t, `severity: (\w+)`, text)
		if row := "| [" + alert + "](runbooks/" + alert + ".md) | " + severity + " | "; !strings.Contains(readme, row) {
			t.Errorf("deploy/prometheus/README.md has no row %q", row)
		}
	}
	if n := strings.Count(readme, "](runbooks/Revoker"); n != len(blocks) {
		t.Errorf("%d runbooks for %d alerts", n, len(blocks))
	}
}

// CONTRIBUTING.md names the steps of .ci/run, which refuses others.
func TestTheStepsOfTheChecksAreDocumented(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("../../.ci/run", "nope").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	steps := strings.Fields(first(t, `^no step nope; the steps are: (.*)\n$`, string(out)))
	if len(steps) < 5 {
		t.Errorf("only the steps %v", steps)
	}
	for _, name := range steps {
		if !strings.Contains(testproc.ReadFile(t, "CONTRIBUTING.md"), "`"+name+"`") {
			t.Errorf("CONTRIBUTING.md does not name the step %s", name)
		}
	}
}

// CONTRIBUTING.md says what each folder of Go code is for: in a row of its own, or by its name in the row of a folder above or beside it.
func TestTheFoldersAreDocumented(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "revoker/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\| (.*) \\|$").FindAllStringSubmatch(testproc.ReadFile(t, "CONTRIBUTING.md"), -1) {
		rows[row[1]] = row[2]
	}
	for _, name := range strings.Fields(string(out)) {
		name = strings.TrimPrefix(name, "revoker/")
		documented := rows[name] != ""
		for row, text := range rows {
			near := strings.HasPrefix(name, row+"/") || path.Dir(name) == path.Dir(row)
			documented = documented || near && strings.Contains(text, "`"+path.Base(name)+"`")
		}
		if !documented {
			t.Errorf("CONTRIBUTING.md does not say what %s is for", name)
		}
	}
	for row := range rows {
		if info, err := os.Stat(filepath.Join("../..", row)); err != nil || !info.IsDir() {
			t.Errorf("CONTRIBUTING.md has a row for %s, which is no folder", row)
		}
	}
}

// Every revoker command of the documents has a subcommand, flags and arguments that exist.
func TestCommandsOfDocumentsExist(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?m)^ {4,6}(?:\$ )?(?:[A-Z_]+=\S+ )?(?:\./)?(?:go run \./cmd/)?revoker ([a-z]+(?: [^\n]*)?)$`)
	rest := regexp.MustCompile(` (#|\||<|>|&&).*$`)
	commands := 0
	for name, text := range documents(t) {
		for _, match := range line.FindAllStringSubmatch(text, -1) {
			commands++
			args := strings.Fields(rest.ReplaceAllString(match[1], ""))
			command, args, err := newRootCommand().Find(args)
			if err == nil {
				err = command.ParseFlags(args)
			}
			if err == nil {
				err = command.ValidateArgs(command.Flags().Args())
			}
			if err != nil || !command.HasParent() {
				t.Errorf("%s: revoker %s: %v", name, match[1], err)
			}
		}
	}
	if commands < 20 {
		t.Errorf("only %d commands", commands)
	}
}

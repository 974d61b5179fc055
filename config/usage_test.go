package config_test

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"revoker/config"
)

// Descriptions mention other variables, so each pattern finds a name only where an entry begins.
var formats = map[string]struct {
	write func(io.Writer) error
	entry *regexp.Regexp
}{
	"table":    {config.WriteTable, regexp.MustCompile(`(?m)^  ([A-Z_]+)\b`)},
	"Markdown": {config.WriteMarkdown, regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|")},
	"env file": {config.WriteEnvFile, regexp.MustCompile(`(?m)^#([A-Z_]+)=`)},
}

func TestEveryVariableIsListedOnce(t *testing.T) {
	t.Parallel()
	var want []string
	for _, l := range leaves(config.Default()) {
		want = append(want, l.name)
	}
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, match := range format.entry.FindAllStringSubmatch(written(t, format.write), -1) {
				got = append(got, match[1])
			}
			if !slices.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

func TestEveryEntryHasItsDefaultRangeAndDescription(t *testing.T) {
	t.Parallel()
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := written(t, format.write)
			for _, l := range leaves(config.Default()) {
				entry := entryOf(t, text, format.entry, l.name)
				if name == "env file" { // there the description comes before the name
					entry, _, _ = strings.Cut(entry, "\n")
					entry = text[:strings.Index(text, entry)+len(entry)]
					entry = entry[strings.LastIndex(entry, "\n\n")+1:]
				}
				entry = strings.Join(strings.Fields(entry), " ") // lines may be wrapped
				want := []string{l.tag.Get("default"), l.tag.Get("desc")}
				if low, high := l.tag.Get("min"), l.tag.Get("max"); low != "" {
					want = append(want, strings.TrimSpace(fmt.Sprintf("From %s to %s %s", low, high, l.tag.Get("unit")))+".")
				}
				for _, part := range want {
					if !strings.Contains(entry, part) {
						t.Errorf("%s: %q is not in %q", l.name, part, entry)
					}
				}
			}
		})
	}
}

func TestADefaultCanBeUsedAsItStands(t *testing.T) {
	t.Parallel()
	if text := written(t, config.WriteTable); !strings.Contains(text, "REVOKER_CONCURRENCY (default 64)\n") {
		t.Error("not in the table")
	}
	if text := written(t, config.WriteMarkdown); !strings.Contains(text, "| `REVOKER_CONCURRENCY` | `64` |") {
		t.Error("not in the Markdown")
	}
	if text := written(t, config.WriteEnvFile); !strings.Contains(text, "\n#REVOKER_CONCURRENCY=64\n") {
		t.Error("not in the env file")
	}
}

func TestTheTableFitsATerminal(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(written(t, config.WriteTable)) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("too wide: %s", line)
		}
	}
}

func TestTheMarkdownHasThreeColumns(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(written(t, config.WriteMarkdown)) {
		if strings.Count(line, "|") != 4 {
			t.Errorf("a row of another width: %s", line)
		}
	}
}

// Whoever removes every # gets the defaults and no error.
func TestTheEnvFileLoadsAsTheDefault(t *testing.T) {
	variables := map[string]string{}
	text := written(t, config.WriteEnvFile)
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "#"), "=")
		if found && regexp.MustCompile(`^[A-Z_]+$`).MatchString(name) {
			variables[name] = value
		}
		if line != "\n" && !strings.HasPrefix(line, "#") {
			t.Errorf("a line that is not a comment: %s", line)
		}
	}
	if len(variables) == 0 {
		t.Fatalf("no variables in:\n%s", text)
	}
	setEnvironment(t, variables)
	loadEquals(t, config.Default())
}

func TestWriteErrorsAreReturned(t *testing.T) {
	t.Parallel()
	for name, format := range formats {
		if err := format.write(full{}); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var text strings.Builder
	if err := write(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// entryOf returns the part of text from the line in which entry captures name to the next entry.
func entryOf(t *testing.T, text string, entry *regexp.Regexp, name string) string {
	t.Helper()
	found := ""
	for line := range strings.Lines(text) {
		match := entry.FindStringSubmatch(line)
		if match != nil && found != "" {
			return found
		}
		if found != "" || match != nil && match[1] == name {
			found += line
		}
	}
	if found == "" {
		t.Fatalf("%s has no entry", name)
	}
	return found
}

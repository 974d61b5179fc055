package systemtest

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// bar is one frame of the progress bar, that of a known total.
var bar = regexp.MustCompile(`\r +(\d+)% \|█* *\| \((\d+)/(\d+), \d+ events/(s|min|hr)\) \[\d+s:\d+s\]`)

func TestPublishDrawsABarInATerminal(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	const n = 30_000 // they take 30 s, so that no pause lets it end before Ctrl-C
	p := testproc.StartOnTerminal(t, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), "publish", "--rate", "1000", sessionFile(t, n))
	frames := func() [][]string { return bar.FindAllStringSubmatch(p.Stdout.String(), -1) }
	testproc.WaitFor(t, "moving bar", func() bool {
		all := frames()
		return len(all) > 3 && all[len(all)-1][1] != "0"
	})
	if _, err := io.WriteString(p.Stdin, "\x03"); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	if code := p.Wait(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	text := p.Stdout.String()
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\n", "\r"), "\r") {
		if plain := regexp.MustCompile(`\x1b\[[0-9]*[A-Za-z]|\^C`).ReplaceAllString(line, ""); strings.Contains(plain, "|") && len([]rune(plain)) > 100 {
			t.Errorf("a frame is wider than the terminal: %q", plain)
		}
	}
	// The bar is wiped before the summary, and the way to go on is whole.
	if !regexp.MustCompile(`\x1b\[2K\r(\^C)?published \d+, already there 0, invalid 0`).MatchString(text) || !strings.Contains(text, "go on with\r\n  revoker publish --rate=1000 --skip=") {
		t.Errorf("got %q", text)
	}
	if strings.Contains(text, "SECRET") {
		t.Error("a session ID is printed")
	}
}

// Each frame of a bar that is wider than the terminal would be a new line.
func TestPublishDrawsNoBarInANarrowTerminal(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	p := testproc.StartOnTerminalOf(t, 40, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(t, "revoker"), "publish", "--rate", "2000", sessionFile(t, 3000))
	if code, text := p.Wait(), p.Stdout.String(); code != 0 || strings.Contains(text, "|") || !strings.Contains(text, "published 3000,") {
		t.Errorf("exit code %d: %q", code, text)
	}
}

// Without a file, a pipe or --session nobody waits for what nobody types.
func TestPublishDoesNotReadFromATerminal(t *testing.T) {
	t.Parallel()
	p := testproc.StartOnTerminal(t, nil, testproc.Binary(t, "revoker"), "publish")
	if code := p.Wait(); code != 2 || !strings.Contains(p.Stdout.String(), "nothing to publish: name files, pipe session IDs in, or use --session") {
		t.Errorf("exit code %d: %s", code, p.Stdout.String())
	}
}

// Where there is no terminal it tells its progress in lines, which a log keeps.
func TestPublishTellsLinesWithoutATerminal(t *testing.T) {
	t.Parallel()
	s := testsite.NewStream(t)
	p := s.StartPublish("--rate", "100", sessionFile(t, 3000))
	line := regexp.MustCompile(`(?m)^\d+ of \d+ events \(\d+%\), \d+/s, \d+s left$`)
	testproc.WaitFor(t, "line", func() bool { return line.MatchString(p.Stderr.String()) })
	p.Signal(os.Interrupt)
	p.Wait()
	if strings.ContainsAny(p.Stderr.String()+p.Stdout.String(), "\r\x1b") {
		t.Errorf("it controls a terminal: %q", p.Stderr.String())
	}
}

package systemtest

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"

	"revoker/cmd/revoker/terminal"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// screens are what was drawn, each from the top.
func screens(output string) []string {
	drawn := strings.Split(output, terminal.ToTop)[1:]
	for i := range drawn {
		drawn[i] = strings.NewReplacer(terminal.ClearLine, "", terminal.ClearBelow, "", "\r", "").Replace(drawn[i])
	}
	return drawn
}

// On a terminal the screen is redrawn in place, fits whatever the terminal's size becomes, outlives the server, and is given
// back as it was, by Ctrl-C and by SIGTERM.
func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Bad: 10})
	server := s.StartNATS()
	s.StartWorker()
	p := testproc.StartOnTerminal(t, s.Env(), testproc.Binary(t, "revoker"), "status", "--watch", "--interval", "200ms")
	last := func() string {
		drawn := screens(p.Stdout.String())
		if len(drawn) < 2 {
			return ""
		}
		return drawn[len(drawn)-2] // the last one may be half there
	}
	s.Publish(0, 100)
	testproc.WaitFor(t, "the dead letters", func() bool { return strings.Contains(last(), "CALLER_ERROR 10") })
	testproc.WaitFor(t, "rates and plots", func() bool {
		return strings.Contains(last(), "/s, nothing left") && strings.Contains(last(), "┤") && strings.Contains(last(), "settled a second")
	})
	for _, size := range []pty.Winsize{{Rows: 9, Cols: 30}, {Rows: 50, Cols: 200}, {Rows: 3, Cols: 20}} {
		if err := pty.Setsize(p.Stdin.(*os.File), &size); err != nil {
			t.Fatal(err)
		}
		before := len(screens(p.Stdout.String()))
		testproc.WaitFor(t, "screens of the new size", func() bool { return len(screens(p.Stdout.String())) > before+3 })
		lines := strings.Split(last(), "\n")
		for _, line := range lines {
			if utf8.RuneCountInString(line) > int(size.Cols) {
				t.Errorf("%q is wider than %d", line, size.Cols)
			}
		}
		if len(lines) > int(size.Rows) {
			t.Errorf("%d lines on %d", len(lines), size.Rows)
		}
	}
	if err := pty.Setsize(p.Stdin.(*os.File), &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	server.Signal(syscall.SIGKILL)
	server.Wait()
	testproc.WaitFor(t, "word of the failure", func() bool { return strings.Contains(last(), "trying again: not connected to NATS") })
	s.StartNATS()
	testproc.WaitFor(t, "the status again", func() bool { return last() != "" && !strings.Contains(last(), "trying again") })
	_, _ = io.WriteString(p.Stdin, "\x03") // Ctrl-C
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if shown := p.Stdout.String(); !strings.HasPrefix(shown, terminal.EnterScreen) || !strings.HasSuffix(shown, terminal.LeaveScreen) {
		t.Errorf("the screen is not given back: %q … %q", shown[:20], shown[len(shown)-30:])
	}
	p = testproc.StartOnTerminal(t, s.Env(), testproc.Binary(t, "revoker"), "status", "--watch")
	testproc.WaitFor(t, "a screen", func() bool { return len(screens(p.Stdout.String())) > 0 })
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != 0 || !strings.HasSuffix(p.Stdout.String(), terminal.LeaveScreen) {
		t.Errorf("exit code %d, %q", code, p.Stdout.String())
	}
}

// An error before the first screen leaves the terminal alone.
func TestWatchOnATerminalWithoutAServer(t *testing.T) {
	t.Parallel()
	p := testproc.StartOnTerminal(t, []string{"NATS_URL=nats://127.0.0.1:1"}, testproc.Binary(t, "revoker"), "status", "--watch")
	if code := p.Wait(); code != 1 || strings.Contains(p.Stdout.String(), "\x1b") {
		t.Errorf("exit code %d, %q", code, p.Stdout.String())
	}
}

func TestWatchWithoutATerminal(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"})
	s.Publish(0, 5)
	testproc.WaitFor(t, "the backlog", func() bool { return s.Info().NumPending == 5 })
	p := testproc.Start(t, s.Env(), testproc.Binary(t, "revoker"), "status", "--watch", "--interval", "200ms")
	testproc.WaitFor(t, "three lines", func() bool { return strings.Count(p.Stdout.String(), "\n") >= 3 })
	j := testproc.Start(t, s.Env(), testproc.Binary(t, "revoker"), "status", "--watch", "--interval", "200ms", "--json")
	testproc.WaitFor(t, "three objects", func() bool { return strings.Count(j.Stdout.String(), "\n") >= 3 })
	for _, p := range []*testproc.Process{p, j} {
		p.Signal(os.Interrupt)
		if code := p.Wait(); code != 0 || strings.Contains(p.Stdout.String(), "\x1b") {
			t.Errorf("exit code %d, %q", code, p.Stdout.String())
		}
	}
	line := strings.Split(p.Stdout.String(), "\n")[2]
	if !strings.Contains(line, "  unsettled 0  ") || !strings.Contains(line, "published 0/s, settled 0/s, not shrinking") {
		t.Errorf("%q", line)
	}
	for i, line := range strings.Split(strings.TrimSpace(j.Stdout.String()), "\n") {
		var object struct {
			Backlog            int
			PublishedPerSecond *float64
		}
		if err := json.Unmarshal([]byte(line), &object); err != nil || object.Backlog != 5 || i > 0 && object.PublishedPerSecond == nil {
			t.Errorf("%v in %s", err, line)
		}
	}
}

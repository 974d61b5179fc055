package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"
)

// screens are what was drawn, each from the top.
func screens(output string) []string {
	drawn := strings.Split(output, toTop)[1:]
	for i := range drawn {
		drawn[i] = strings.NewReplacer(clearLine, "", clearBelow, "", "\r", "").Replace(drawn[i])
	}
	return drawn
}

// On a terminal the screen is redrawn in place, fits whatever the terminal's size becomes, outlives the server, and is given
// back as it was, by Ctrl-C and by SIGTERM.
func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{Bad: 10})
	server := s.startNATS()
	s.startWorker()
	p := startOnTerminal(t, s.env(), binary(t, "revoker"), "status", "--watch", "--interval", "200ms")
	last := func() string {
		drawn := screens(p.stdout.String())
		if len(drawn) < 2 {
			return ""
		}
		return drawn[len(drawn)-2] // the last one may be half there
	}
	s.publish(0, 100)
	waitFor(t, "the dead letters", func() bool { return strings.Contains(last(), "CALLER_ERROR 10") })
	waitFor(t, "rates and plots", func() bool {
		return strings.Contains(last(), "settled 0/s, nothing left") && strings.Contains(last(), "┤") && strings.Contains(last(), "settled a second")
	})
	for _, size := range []pty.Winsize{{Rows: 9, Cols: 30}, {Rows: 50, Cols: 200}, {Rows: 3, Cols: 20}} {
		if err := pty.Setsize(p.stdin.(*os.File), &size); err != nil {
			t.Fatal(err)
		}
		before := len(screens(p.stdout.String()))
		waitFor(t, "screens of the new size", func() bool { return len(screens(p.stdout.String())) > before+3 })
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
	if err := pty.Setsize(p.stdin.(*os.File), &pty.Winsize{Rows: 30, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	server.signal(syscall.SIGKILL)
	server.wait()
	waitFor(t, "word of the failure", func() bool { return strings.Contains(last(), "trying again: not connected to NATS") })
	s.startNATS()
	waitFor(t, "the status again", func() bool { return last() != "" && !strings.Contains(last(), "trying again") })
	_, _ = io.WriteString(p.stdin, "\x03") // Ctrl-C
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if shown := p.stdout.String(); !strings.HasPrefix(shown, enterScreen) || !strings.HasSuffix(shown, leaveScreen) {
		t.Errorf("the screen is not given back: %q … %q", shown[:20], shown[len(shown)-30:])
	}
	p = startOnTerminal(t, s.env(), binary(t, "revoker"), "status", "--watch")
	waitFor(t, "a screen", func() bool { return len(screens(p.stdout.String())) > 0 })
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 || !strings.HasSuffix(p.stdout.String(), leaveScreen) {
		t.Errorf("exit code %d, %q", code, p.stdout.String())
	}
}

// An error before the first screen leaves the terminal alone.
func TestWatchOnATerminalWithoutAServer(t *testing.T) {
	t.Parallel()
	p := startOnTerminal(t, []string{"NATS_URL=nats://127.0.0.1:1"}, binary(t, "revoker"), "status", "--watch")
	if code := p.wait(); code != 1 || strings.Contains(p.stdout.String(), "\x1b") {
		t.Errorf("exit code %d, %q", code, p.stdout.String())
	}
}

func TestWatchWithoutATerminal(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	s.startNATS()
	s.says(0, nil, []string{"setup"})
	s.publish(0, 5)
	p := start(t, s.env(), binary(t, "revoker"), "status", "--watch", "--interval", "200ms")
	waitFor(t, "three lines", func() bool { return strings.Count(p.stdout.String(), "\n") >= 3 })
	j := start(t, s.env(), binary(t, "revoker"), "status", "--watch", "--interval", "200ms", "--json")
	waitFor(t, "three objects", func() bool { return strings.Count(j.stdout.String(), "\n") >= 3 })
	for _, p := range []*process{p, j} {
		p.signal(os.Interrupt)
		if code := p.wait(); code != 0 || strings.Contains(p.stdout.String(), "\x1b") {
			t.Errorf("exit code %d, %q", code, p.stdout.String())
		}
	}
	line := strings.Split(p.stdout.String(), "\n")[2]
	if !strings.Contains(line, "  unsettled 0  ") || !strings.Contains(line, "published 0/s, settled 0/s, not shrinking") {
		t.Errorf("%q", line)
	}
	for i, line := range strings.Split(strings.TrimSpace(j.stdout.String()), "\n") {
		var object struct {
			Backlog            int
			PublishedPerSecond *float64
		}
		if err := json.Unmarshal([]byte(line), &object); err != nil || object.Backlog != 5 || i > 0 && object.PublishedPerSecond == nil {
			t.Errorf("%v in %s", err, line)
		}
	}
}

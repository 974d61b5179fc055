package main

import (
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/creack/pty"
)

// startOnTerminal runs a program with a terminal of its own for input, output and errors; stdin writes to it, and all
// output is in stdout.
func startOnTerminal(t testing.TB, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir(), "TERM=xterm"}, env...)
	terminal, err := pty.StartWithSize(p.cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = terminal
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(&p.stdout, terminal) // ends with an error when the process does
		close(read)
	}()
	go func() {
		_ = p.cmd.Wait()
		<-read
		terminal.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

func TestNothingPrintableIsObeyed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain é ✓ \"quoted\" back\\slash":    "plain é ✓ \"quoted\" back\\slash",
		"\x1b[2J\x07\r\x00\x7f\u0085\u009b2J": `\x1b[2J\a\r\x00\x7f\u0085\u009b2J`,
		"a\u202eb\u200bc\u2066":               `a\u202eb\u200bc\u2066`, // written right to left; invisible
		"bad \xff\xc3":                        `bad \xff\xc3`,
		"line\nfeed\ttab":                     "line\nfeed\ttab",
	} {
		if got := printable(text, "\n\t"); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := string(printableJSON([]byte(`{"a":"é\"` + "\u009b\u202e\x7f\U000e0001" + `"}`))); got != `{"a":"é\"\u009b\u202e\u007f\udb40\udc01"}` {
		t.Errorf("JSON is shown as %s", got)
	}
	if got := printable("a\nb", ""); got != `a\nb` {
		t.Errorf("a line feed is shown as %q", got)
	}
}

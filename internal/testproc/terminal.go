package testproc

import (
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/creack/pty"
)

// StartOnTerminal runs a program with a terminal of its own for input, output and errors; stdin writes to it, and all
// output is in stdout.
func StartOnTerminal(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	return StartOnTerminalOf(t, 100, env, name, args...)
}

// StartOnTerminalOf is StartOnTerminal with so many columns.
func StartOnTerminalOf(t testing.TB, columns uint16, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{T: t, Cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.Cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir(), "TERM=xterm"}, env...)
	terminal, err := pty.StartWithSize(p.Cmd, &pty.Winsize{Rows: 40, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	p.Stdin = terminal
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(&p.Stdout, terminal) // ends with an error when the process does
		close(read)
	}()
	go func() {
		_ = p.Cmd.Wait()
		<-read
		terminal.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.Cmd.Process.Kill()
		<-p.ended
	})
	return p
}

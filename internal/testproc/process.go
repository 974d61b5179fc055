// Package testproc is what tests share to run programs and to wait for them: the built binaries, processes and what they said, free
// ports, an embedded NATS server, and conditions with a deadline. Tests alone import it.
package testproc

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Process is a process that this test started; it is killed at the test's end if it still runs.
type Process struct {
	T      testing.TB // the test that started it
	Cmd    *exec.Cmd
	Stdin  io.WriteCloser
	Stdout Buffer
	Stderr Buffer
	Quiet  bool // leaves what it said out of a failed test's log
	ended  chan struct{}
}

// Start runs a program with the environment given and nothing of the test's own but what every program needs.
func Start(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{T: t, Cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.Cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir()}, env...)
	p.Cmd.Stdout, p.Cmd.Stderr = &p.Stdout, &p.Stderr
	var err error
	if p.Stdin, err = p.Cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.Cmd.Process.Kill()
		<-p.ended
		if t.Failed() && !p.Quiet {
			t.Logf("%s %s said last:\n%s", filepath.Base(name), strings.Join(args, " "), p.Stderr.Tail())
		}
	})
	return p
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) {
	p.T.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		p.T.Fatal(err)
	}
}

// Kill ends the process at once.
func (p *Process) Kill() {
	p.T.Helper()
	p.Signal(os.Kill)
	p.Wait()
}

// Wait returns the exit code, or -1 if a signal ended the process.
func (p *Process) Wait() int {
	p.T.Helper()
	select {
	case <-p.ended:
	case <-time.After(Timeout):
		p.T.Fatalf("%s did not end; its log:\n%s", p.Cmd.Path, p.Stderr.String())
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Running tells whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

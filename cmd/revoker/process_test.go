package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const testTimeout = 60 * time.Second

// TestMain serves as the simulated API's process too, or as a loop to compare with.
func TestMain(m *testing.M) {
	if options := os.Getenv(simulatorVariable); options != "" {
		os.Exit(simulate(options, os.Stdin, os.Stdout))
	}
	if name := os.Getenv(baselineVariable); name != "" {
		os.Exit(runBaseline(name))
	}
	code := m.Run()
	if binaries.folder != "" {
		os.RemoveAll(binaries.folder)
	}
	os.Exit(code)
}

// binaries are built once: revoker as a user has it, and the NATS server of go.mod.
var binaries struct {
	once   sync.Once
	folder string
	err    error
}

func binary(t testing.TB, name string) string {
	t.Helper()
	binaries.once.Do(func() {
		if binaries.folder, binaries.err = os.MkdirTemp("", "revoker-test-"); binaries.err != nil {
			return
		}
		for _, args := range [][]string{append([]string{"build", "-o", "revoker"}, append(raceFlag, "revoker/cmd/revoker")...), {"build", "-o", "nats-server", "github.com/nats-io/nats-server/v2"}} {
			args[2] = filepath.Join(binaries.folder, args[2])
			if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
				binaries.err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
				return
			}
		}
	})
	if binaries.err != nil {
		t.Fatal(binaries.err)
	}
	return filepath.Join(binaries.folder, name)
}

// process is a process that this test started; it is killed at the test's end if it still runs.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout syncBuffer
	stderr syncBuffer
	ended  chan struct{}
}

// start runs a program with the environment given and nothing of the test's own but what every program needs.
func start(t testing.TB, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir()}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s %s said last:\n%s", filepath.Base(name), strings.Join(args, " "), p.stderr.tail())
		}
	})
	return p
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends the process at once.
func (p *process) kill() {
	p.t.Helper()
	p.signal(os.Kill)
	p.wait()
}

// wait returns the exit code, or -1 if a signal ended the process.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(testTimeout):
		p.t.Fatalf("%s did not end; its log:\n%s", p.cmd.Path, p.stderr.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(testTimeout); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within %s", what, testTimeout)
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	return freePorts(t, 1)[0]
}

// freePorts returns ports that were free a moment ago, each another one.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// syncBuffer is output that can be read at any time.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.Write(p)
}

// tail is the last lines without those at debug.
func (s *syncBuffer) tail() string {
	const most = 40
	lines := slices.DeleteFunc(strings.Split(s.String(), "\n"), func(line string) bool { return strings.Contains(line, `"level":"DEBUG"`) })
	return strings.Join(lines[max(len(lines)-most, 0):], "\n")
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.String()
}

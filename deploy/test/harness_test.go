// Package deploy_test holds what deploy/ has against revoker itself and against the tools that read it: the Dockerfile's
// steps are run, the Compose file is loaded by Compose's own library and the chart is rendered by Helm's. It is a module of
// its own, so that none of these is in revoker's.
package deploy_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"revoker/config"
	"revoker/internal/testport"
)

const (
	root    = "../.." // of the repository
	timeout = 2 * time.Minute
)

// variable is one of revoker's environment variables.
type variable struct{ name, description string }

// variables are all of them, in the order of the table in config/README.md.
func variables() (list []variable) {
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		for i := range t.NumField() {
			field := t.Field(i)
			if name := field.Tag.Get("envconfig"); name != "" {
				list = append(list, variable{name, field.Tag.Get("desc")})
			} else if field.Type.Kind() == reflect.Struct {
				walk(field.Type)
			}
		}
	}
	walk(reflect.TypeFor[config.Config]())
	return list
}

func isVariable(name string) bool {
	for _, v := range variables() {
		if v.name == name {
			return true
		}
	}
	return false
}

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// output is what a process wrote so far.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// process is a process that is killed at the test's end if it still runs.
type process struct {
	cmd   *exec.Cmd
	out   output
	ended chan struct{}
}

func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
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
			t.Logf("%s %s:\n%s", name, strings.Join(args, " "), p.out.String())
		}
	})
	return p
}

// wait returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(timeout):
		t.Fatalf("%s did not end", p.cmd.Path)
	}
	return p.cmd.ProcessState.ExitCode()
}

// says waits until the process has written the text.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(timeout); !strings.Contains(p.out.String(), text); time.Sleep(20 * time.Millisecond) {
		select {
		case <-p.ended:
			t.Fatalf("it ended without %q", text)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("no %q within %s", text, timeout)
		}
	}
}

// startNATS starts the server of revoker's go.mod and returns its URL.
func startNATS(t *testing.T) string {
	t.Helper()
	server := filepath.Join(t.TempDir(), "nats-server")
	build := exec.Command("go", "build", "-o", server, "github.com/nats-io/nats-server/v2")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address := testport.Address(t)
	_, port, _ := strings.Cut(address, ":")
	start(t, nil, server, "--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", t.TempDir()).says(t, "Server is ready")
	return fmt.Sprintf("nats://%s", address)
}

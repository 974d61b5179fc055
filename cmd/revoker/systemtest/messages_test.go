package systemtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"revoker/cmd/revoker/exit"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// A command that would have to ask, and has nobody to ask, is wrong usage, whatever the command is.
func TestARefusalWithoutATerminalIsWrongUsage(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"})
	longer := []string{"REVOKER_ACK_WAIT=20s"}
	const nobody = "there is no terminal to ask on"
	s.Says(exit.CodeUsage, longer, []string{"setup"}, nobody, "nothing was done")
	s.Says(exit.CodeUsage, longer, []string{"setup", "--json"}, "--json asks nothing", "nothing was done")
	s.Says(exit.CodeUsage, nil, []string{"dlq", "rm", "1"}, nobody)
	s.Says(exit.CodeUsage, nil, []string{"dlq", "replay", "1"}, nobody)
	s.Says(0, longer, []string{"setup", "--yes"}, "2 settings changed")
}

// Four objects are missing for one reason: what to do is said once.
func TestCheckGivesAHintOnce(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	out := s.Says(0, s.Env(), []string{"check"}, "stream SESSIONS ", "stream SESSIONS_DLQ ", "consumer revoker ")
	if n := strings.Count(out, "`revoker setup` creates it"); n != 1 || strings.Count(out, "it is missing") != 4 {
		t.Errorf("the hint is there %d times:\n%s", n, out)
	}
}

// The flags win over the environment, in every command. A context brings its own user, and that of the environment is not sent to it.
func TestFlagsOfTheNATSCommandLine(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	restricted(s, "")
	s.Says(0, asAdmin, []string{"setup"})
	home := t.TempDir()
	contexts := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(contexts, 0o700); err != nil {
		t.Fatal(err)
	}
	file := fmt.Sprintf(`{"url":%q,"user":"operator","password":"pw"}`, s.NATSURL)
	for _, name := range []string{"staging", "production"} {
		if err := os.WriteFile(filepath.Join(contexts, name+".json"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	astray := []string{"XDG_CONFIG_HOME=" + home, "NATS_URL=nats://127.0.0.1:1", "NATS_USER=stranger", "NATS_PASSWORD=SECRET-word"}
	s.Says(0, astray, []string{"status", "--context", "staging"}, "backlog")
	s.Says(1, astray, []string{"status", "--context", "staging", "--server", "nats://127.0.0.1:2"}, "at nats://127.0.0.1:2: connection refused")
	s.Says(1, astray, []string{"status", "-s", s.NATSURL}, "the server rejected the credentials", "look at NATS_USER and NATS_PASSWORD")
	s.Says(exit.CodeConfiguration, astray, []string{"dlq", "ls", "--context", "nope"}, `unknown context "nope"`)
	user := append([]string{"NATS_URL=nats://127.0.0.1:1"}, asAdmin...)
	s.Says(0, user, []string{"dlq", "ls", "--server", s.NATSURL}, "no dead letter")
	for _, command := range []string{"run", "status", "status --watch", "pause", "resume", "setup", "check", "dlq ls", "publish --session x", "simulate"} {
		s.Says(exit.CodeUsage, s.Env(), append(strings.Fields(command), "--server", "nats://SECRET@"), "--server: not a list of server URLs")
	}
	if out, _ := s.Say(astray, "__complete", "status", "--context", ""); !strings.HasPrefix(out, "production\nstaging\n:4\n") {
		t.Errorf("the shell is offered %q", out)
	}
}

// Without an inbox no answer comes. Each command says so at once, once, and names the variable.
func TestAnAccountWithoutAnInboxIsToldSo(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	restricted(s, `{user: boxed, password: pw, permissions: {publish: ">", subscribe: "_INBOX_boxed.>"}}`)
	s.Says(0, asAdmin, []string{"setup"})
	boxed := s.Env("NATS_USER=boxed", "NATS_PASSWORD=pw")
	for _, command := range []string{"status", "setup", "dlq ls", "check", "publish --session x", "pause", "run"} {
		out := s.Says(1, boxed, strings.Fields(command), "the account may not subscribe to its inbox, _INBOX.>")
		if n := strings.Count(out, "NATS_INBOX_PREFIX"); n != 1 && (command != "run" || n == 0) { // run warns before it gives up
			t.Errorf("%s names NATS_INBOX_PREFIX %d times:\n%s", command, n, out)
		}
		if strings.Contains(out, "Permissions Violation") {
			t.Errorf("%s has the server's words too:\n%s", command, out)
		}
	}
	s.Says(0, append(boxed, "NATS_INBOX_PREFIX=_INBOX_boxed"), []string{"status"}, "backlog")
}

// Without JetStream nothing is waited for, and nobody is sent to `revoker setup`, which could not create a stream either.
func TestAnAccountWithoutJetStreamIsToldSo(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	file := filepath.Join(t.TempDir(), "nats.conf")
	content := `accounts { A: {jetstream: enabled, users: [{user: admin, password: admin}]}, B: {users: [{user: b, password: pw}]} }`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s.StartNATS("--config", file)
	for _, command := range []string{"publish --session x", "status", "setup", "dlq ls", "pause"} {
		out := s.Says(1, []string{"NATS_USER=b", "NATS_PASSWORD=pw"}, strings.Fields(command), "JetStream is not enabled, on this server or for this account")
		if strings.Contains(out, "revoker setup") {
			t.Errorf("%s:\n%s", command, out)
		}
	}
}

// An input without events is no success to be passed over, and what is wrong with a file that was cut off is said.
func TestInputsThatAreNotAllThere(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"})
	folder := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const warning = "warning: nothing to publish: the input is empty"
	empty, three := file("empty", nil), file("three", []byte("a\nb\nc\n"))
	s.Says(0, nil, []string{"publish"}, warning)
	s.Says(0, nil, []string{"publish", empty}, warning)
	s.Says(0, nil, []string{"publish", "--dry-run", empty}, warning)
	s.Says(0, nil, []string{"publish", "--skip", "3", three}, "warning: nothing to publish: --skip skipped all 3 rows")
	if out := s.Says(0, nil, []string{"publish", three}, "published 3"); strings.Contains(out, "warning") {
		t.Errorf("a warning for nothing:\n%s", out)
	}
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	for i := range 100_000 {
		fmt.Fprintln(zip, i*7919)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	head, half := file("head.gz", zipped.Bytes()[:5]), file("half.gz", zipped.Bytes()[:zipped.Len()/2])
	s.Says(1, nil, []string{"publish", "--dry-run", head}, "head.gz is cut off or damaged, get it again")
	out := s.Says(1, nil, []string{"publish", "--dry-run", half}, "half.gz is cut off or damaged, get it again", "it was checked up to line ")
	if strings.Contains(out, "go on with") || strings.Contains(out, "--skip") {
		t.Errorf("a dry run that can't go on says how:\n%s", out)
	}
	s.Says(1, nil, []string{"publish", half}, "half.gz is cut off or damaged, get it again", "go on with\n  revoker publish --skip=")
	out, code := s.Say(nil, "publish", "--dry-run", "--json", half)
	var summary struct {
		Stopped map[string]any `json:"stopped"`
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&summary); err != nil || code != 1 || summary.Stopped["line"] == nil || summary.Stopped["goOn"] != nil {
		t.Errorf("exit code %d, %v in\n%s", code, err, out)
	}
}

// The container image's build says why it has no `dev`.
func TestABuildWithoutDevSaysSo(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "revoker")
	if out, err := exec.Command("go", "build", "-tags", "nodev", "-o", program, "revoker/cmd/revoker").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := testproc.Start(t, nil, program, "dev", "--rate", "0")
	if code := p.Wait(); code != exit.CodeUsage || !strings.Contains(p.Stderr.String(), "this build has no `dev`") {
		t.Errorf("exit code %d: %s", code, p.Stderr.String())
	}
	p = testproc.Start(t, nil, program, "--help")
	if p.Wait(); strings.Contains(p.Stdout.String(), "  dev ") {
		t.Errorf("the help has it:\n%s", p.Stdout.String())
	}
}

package systemtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"revoker/cmd/revoker/exit"
	"revoker/internal/testproc"
)

// A configuration that can't be used has one exit code whatever the command is, and is told from a server that is away.
func TestExitCodeOfAWrongConfiguration(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("not a certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	api := []string{"AUTHLETE_BASE_URL=http://127.0.0.1:1", "AUTHLETE_SERVICE_ID=1", "AUTHLETE_BEARER=x", "REVOKER_OPS_ADDR=127.0.0.1:0"}
	commands := []string{"run", "status", "status --watch", "pause", "resume", "setup", "check", "dlq ls", "publish --session x", "simulate --addr 127.0.0.1:0"}
	for name, c := range map[string]struct {
		env      []string
		code     int
		says     string
		commands []string
	}{
		"a typo":              {[]string{"REVOKER_TYPO=1"}, exit.CodeConfiguration, "REVOKER_TYPO: no such variable", append(commands, "health")},
		"no such context":     {[]string{"NATS_CONTEXT=nope"}, exit.CodeConfiguration, `NATS_CONTEXT: unknown context "nope"`, commands},
		"not a certificate":   {[]string{"NATS_CA=" + garbage}, exit.CodeConfiguration, "setting up the connection to NATS: nats: failed to parse root certificate", commands},
		"not a seed":          {[]string{"NATS_NKEY=" + garbage}, exit.CodeConfiguration, "NATS_NKEY: not an NKey seed file", commands},
		"wildcards":           {[]string{"REVOKER_SUBJECT=session.*"}, exit.CodeConfiguration, "REVOKER_SUBJECT: has wildcards", []string{"publish --session x"}},
		"no address to ask":   {[]string{"REVOKER_OPS_ADDR="}, exit.CodeConfiguration, "REVOKER_OPS_ADDR: empty", []string{"health", "health --live"}},
		"no service":          {[]string{"AUTHLETE_SERVICE_ID="}, exit.CodeConfiguration, "AUTHLETE_SERVICE_ID: required", []string{"run", "check"}},
		"a server is away":    {nil, exit.CodeProblem, "127.0.0.1:1", []string{"status", "setup", "check", "dlq ls", "publish --session x"}},
		"nobody is listening": {nil, exit.CodeProblem, "", []string{"health", "health --live"}},
	} {
		for _, command := range c.commands {
			t.Run(name+": "+command, func(t *testing.T) {
				t.Parallel()
				env := append(append([]string{"NATS_URL=nats://127.0.0.1:1"}, api...), c.env...)
				p := testproc.Start(t, env, testproc.Binary(t, "revoker"), strings.Fields(command)...)
				code, text := p.Wait(), p.Stdout.String()+p.Stderr.String()
				if code != c.code || !strings.Contains(text, c.says) {
					t.Errorf("exit code %d, want %d, and %q in\n%s", code, c.code, c.says, text)
				}
			})
		}
	}
}

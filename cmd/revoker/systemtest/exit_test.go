package systemtest

import (
	"errors"
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
	empty := garbage + "-not"
	if err := errors.Join(os.WriteFile(garbage, []byte("not a certificate\n"), 0o600), os.WriteFile(empty, nil, 0o600)); err != nil {
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
		"a typo":               {[]string{"REVOKER_TYPO=1"}, exit.CodeConfiguration, "REVOKER_TYPO: no such variable", append(commands, "health")},
		"no such context":      {[]string{"NATS_CONTEXT=nope"}, exit.CodeConfiguration, `NATS_CONTEXT or --context: unknown context "nope"`, commands},
		"not a certificate":    {[]string{"NATS_CA=" + garbage}, exit.CodeConfiguration, `NATS_CA: "` + garbage + `" has no certificate`, commands},
		"not a seed":           {[]string{"NATS_NKEY=" + garbage}, exit.CodeConfiguration, `NATS_NKEY: "` + garbage + `" is not an NKey seed file`, commands},
		"not credentials":      {[]string{"NATS_CREDS=" + garbage}, exit.CodeConfiguration, `NATS_CREDS: "` + garbage + `" is not a credentials file`, commands},
		"not a key pair":       {[]string{"NATS_CERT=" + garbage, "NATS_KEY=" + garbage}, exit.CodeConfiguration, `NATS_CERT, NATS_KEY: "` + garbage, commands},
		"no such file":         {[]string{"NATS_CA=" + garbage + "2"}, exit.CodeConfiguration, `NATS_CA: can't read "` + garbage + `2": no such file or directory`, commands},
		"an empty token file":  {[]string{"AUTHLETE_BEARER=", "AUTHLETE_BEARER_FILE=" + empty}, exit.CodeConfiguration, "AUTHLETE_BEARER_FILE: " + empty + ": the file is empty", []string{"run", "check"}},
		"no such token file":   {[]string{"AUTHLETE_BEARER=", "AUTHLETE_BEARER_FILE=" + garbage + "2"}, exit.CodeConfiguration, `AUTHLETE_BEARER_FILE: can't read "` + garbage + `2": no such`, []string{"run", "check"}},
		"wildcards":            {[]string{"REVOKER_SUBJECT=session.*"}, exit.CodeConfiguration, "REVOKER_SUBJECT: has wildcards", []string{"publish --session x"}},
		"no address to ask":    {[]string{"REVOKER_OPS_ADDR="}, exit.CodeConfiguration, "REVOKER_OPS_ADDR: empty", []string{"health", "health --live"}},
		"no service":           {[]string{"AUTHLETE_SERVICE_ID="}, exit.CodeConfiguration, "AUTHLETE_SERVICE_ID: required", []string{"run", "check"}},
		"a token for its file": {[]string{"REVOKER_RECEIVE_TOKEN_FILE=SECRET-token-of-senders"}, exit.CodeConfiguration, "REVOKER_RECEIVE_TOKEN_FILE: can't read the file: no such", []string{"receive", "check --receive"}},
		"no such issuers":      {[]string{"REVOKER_RECEIVE_ISSUERS_FILE=" + garbage + "2"}, exit.CodeConfiguration, `REVOKER_RECEIVE_ISSUERS_FILE: can't read "` + garbage + `2": no such`, []string{"receive", "check --receive"}},
		"a server is away":     {nil, exit.CodeProblem, "nats://127.0.0.1:1: connection refused", []string{"status", "setup", "check", "dlq ls", "publish --session x"}},
		"nobody is listening":  {[]string{"REVOKER_OPS_ADDR=127.0.0.1:1"}, exit.CodeProblem, "see whether the worker runs", []string{"health", "health --live", "health --json", "health --live --json"}},
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

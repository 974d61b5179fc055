package systemtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

const receiveToken = "SECRET-token-of-senders"

// startReceiver runs `revoker receive` at an address, for POST /events and for the issuers of a JSON array, and waits until it takes
// signals.
func startReceiver(s *testsite.Site, address, issuers string, more ...string) *testproc.Process {
	s.T.Helper()
	env := append([]string{
		"NATS_URL=" + s.NATSURL, "REVOKER_RECEIVE_ADDR=" + address, "REVOKER_RECEIVE_OPS_ADDR=127.0.0.1:0", "REVOKER_RECEIVE_TOKEN=" + receiveToken,
		"REVOKER_LOG_LEVEL=debug",
	}, more...)
	if issuers != "" {
		path := filepath.Join(s.T.TempDir(), "issuers.json")
		if err := os.WriteFile(path, []byte(issuers), 0o600); err != nil {
			s.T.Fatal(err)
		}
		env = append(env, "REVOKER_RECEIVE_ISSUERS_FILE="+path)
	}
	p := testproc.Start(s.T, env, testproc.Binary(s.T, "revoker"), "receive")
	testproc.WaitFor(s.T, "receiver", func() bool {
		if !p.Running() {
			s.T.Fatalf("the receiver ended:\n%s", p.Stderr.String())
		}
		return strings.Contains(p.Stderr.String(), `"msg":"receiving signals"`) && strings.Contains(p.Stderr.String(), `"msg":"connected to NATS"`)
	})
	return p
}

var _ = testing.Short

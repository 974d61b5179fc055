package systemtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"revoker/internal/testissuer"
	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// The receiver's unit is as hardened as the worker's, and what its comments say is enough for it to take signals.
func TestTheUnitOfTheReceiver(t *testing.T) {
	t.Parallel()
	hardening := func(file string) string {
		_, after, found := strings.Cut(testproc.ReadFile(t, "deploy/systemd/"+file), "\nNoNewPrivileges=")
		before, _, ends := strings.Cut(after, "\n[Install]")
		if !found || !ends {
			t.Fatalf("%s is not hardened", file)
		}
		return before
	}
	if hardening("revoker.service") != hardening("revoker-receive.service") {
		t.Error("the units are not hardened alike")
	}
	text := testproc.ReadFile(t, "deploy/systemd/revoker-receive.service")
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup", "--yes"})
	folder, issuer := t.TempDir(), testissuer.New(t)
	for name, content := range map[string]string{
		"token": receiveToken, "issuers.json": fmt.Sprintf(`[{"name":"login","issuer":%q,"clientIds":[%q]}]`, issuer.URL, testissuer.ClientID),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := testport.Address(t)
	env := []string{"NATS_URL=" + s.NATSURL, "REVOKER_RECEIVE_ADDR=" + address, "REVOKER_RECEIVE_OPS_ADDR=127.0.0.1:0"}
	for _, match := range regexp.MustCompile(`(?m)^(?:#   |Environment=)(REVOKER_[A-Z_]+=\S+)$`).FindAllStringSubmatch(text, -1) {
		env = append(env, strings.ReplaceAll(match[1], "/etc/revoker-receive", folder))
	}
	command := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/(\w+) (.+)$`).FindStringSubmatch(text)
	p := testproc.Start(t, env, testproc.Binary(t, command[1]), strings.Fields(command[2])...)
	sending := startSenders(t, address, issuer, 0)
	testproc.WaitFor(t, "the receiver", func() bool {
		return strings.Contains(p.Stderr.String(), `"msg":"receiving signals"`) && strings.Contains(p.Stderr.String(), `"msg":"connected to NATS"`)
	})
	sending.send("a", true)
	sending.send("b", false)
	if accepted, _ := sending.counts(); accepted != 2 || len(env) != 6 {
		t.Errorf("%d signals accepted, with %v", accepted, env)
	}
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

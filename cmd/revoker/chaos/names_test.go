package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// names gives the workers a hosts file of their own, in a mount namespace, so that the API's name can stop resolving.
type names struct {
	t        *testing.T
	hosts    string // file; "" where this machine permits no namespace
	resolver string // file
	host     string
}

const apiHost = "api.test"

func newNames(t *testing.T) *names {
	n := &names{t: t, host: "127.0.0.1"}
	folder := t.TempDir()
	hosts, resolver := filepath.Join(folder, "hosts"), filepath.Join(folder, "resolv.conf")
	// Nothing listens for questions at this address. So they fail at once, as with a resolver that is down.
	if err := os.WriteFile(resolver, []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n.hosts, n.resolver = hosts, resolver
	n.resolve(true)
	program, args := n.shell([]string{"exec cat /etc/hosts"})
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), apiHost) {
		if *allKinds {
			t.Fatalf("this machine permits no mount namespace: %v: %s", err, out)
		}
		t.Logf("left out, since this machine permits no mount namespace: a name that does not resolve (%v: %s)", err, out)
		n.hosts = ""
		return n
	}
	n.host = apiHost
	return n
}

// shell is a command that runs commands of a shell where the files hold.
func (n *names) shell(commands []string) (program string, args []string) {
	script := strings.Join(commands, " && ")
	if n.hosts == "" {
		return "/bin/sh", []string{"-c", script}
	}
	flags := "-m"
	if os.Getuid() != 0 {
		flags = "-rm"
	}
	return "unshare", []string{flags, "/bin/sh", "-c", fmt.Sprintf("mount --bind '%s' /etc/hosts && mount --bind '%s' /etc/resolv.conf && %s", n.hosts, n.resolver, script)}
}

// resolve makes the API's name resolve, or not. It writes into the file that the namespaces see.
func (n *names) resolve(does bool) {
	content := "127.0.0.1 localhost\n"
	if does {
		content += "127.0.0.1 " + apiHost + "\n"
	}
	if err := os.WriteFile(n.hosts, []byte(content), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

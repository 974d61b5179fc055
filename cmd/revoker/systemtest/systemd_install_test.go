package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// installation is what the commands at the top of the unit leave, below a folder instead of the root.
type installation struct {
	t        *testing.T
	settings map[string][]string // of the unit
	folder   string
	user     int      // and group, that the service runs as
	commands []string // the install commands
}

// install runs the commands. The token is that of the file.
func install(t *testing.T, token string) *installation {
	t.Helper()
	i := &installation{t: t, settings: unit(t), folder: t.TempDir(), user: os.Getuid()}
	if i.user == 0 {
		i.user = 65532 // one that may read nothing by itself
	}
	if err := os.Chmod(filepath.Dir(i.folder), 0o755); err != nil { // a test's own folder is closed to other users
		t.Fatal(err)
	}
	i.write("authlete-token", token)
	deploy, err := filepath.Abs("../../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"revoker": testproc.Binary(t, "revoker"), "deploy": deploy} {
		if err := os.Symlink(target, filepath.Join(i.folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"etc/systemd/system", "usr/local/bin"} {
		if err := os.MkdirAll(filepath.Join(i.folder, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	head, _, _ := strings.Cut(testproc.ReadFile(t, "deploy/systemd/revoker.service"), "[Unit]")
	for line := range strings.Lines(head) {
		if command, is := strings.CutPrefix(strings.TrimSpace(line), "#   install "); is {
			i.commands = append(i.commands, "install "+command)
			i.run("install " + command)
		}
	}
	if len(i.commands) < 5 {
		t.Fatalf("the unit says %q", i.commands)
	}
	return i
}

func (i *installation) write(name, content string) {
	i.t.Helper()
	if err := os.WriteFile(filepath.Join(i.folder, name), []byte(content), 0o600); err != nil {
		i.t.Fatal(err)
	}
}

// path is where a path of the unit's machine is here.
func (i *installation) path(text string) string {
	for _, top := range []string{"/etc/", "/usr/"} {
		text = strings.ReplaceAll(text, top, i.folder+top)
	}
	return text
}

func (i *installation) run(command string) {
	i.t.Helper()
	cmd := exec.Command("sh", "-c", strings.ReplaceAll(i.path(command), "-g revoker", "-g "+strconv.Itoa(i.user)))
	cmd.Dir = i.folder
	if out, err := cmd.CombinedOutput(); err != nil {
		i.t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// start runs the service as the unit says, with more lines in the environment file. Its lines win over the unit's variables.
func (i *installation) start(lines ...string) *testproc.Process {
	i.t.Helper()
	var env []string
	for _, line := range i.settings["Environment"] {
		env = append(env, strings.Fields(line)...)
	}
	file, err := os.ReadFile(i.path(i.settings["EnvironmentFile"][0]))
	if err != nil {
		i.t.Fatal(err)
	}
	for line := range strings.Lines(i.path(string(file) + strings.Join(lines, "\n"))) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			env = append(env, line)
		}
	}
	command := strings.Fields(i.path(i.settings["ExecStart"][0]))
	if os.Getuid() == 0 {
		id := strconv.Itoa(i.user)
		command = append([]string{"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups"}, command...)
	}
	p := testproc.Start(i.t, env, command[0], command[1:]...)
	testproc.WaitFor(i.t, "worker", func() bool {
		if !p.Running() {
			i.t.Fatalf("the service ended:\n%s", p.Stderr.String())
		}
		return strings.Contains(p.Stderr.String(), `"msg":"working"`)
	})
	return p
}

// tokenFile is the line of the environment file that the unit's comment gives.
const tokenFile = "AUTHLETE_BEARER_FILE=/etc/revoker/authlete-token"

// whereabouts are the lines that an operator writes, except how to sign in to NATS.
func whereabouts(s *testsite.Site) []string {
	return append(s.Env(), "AUTHLETE_BEARER=", tokenFile)
}

// However the worker signs in to NATS, the unit stays as it is.
func TestTheUnitNeedsNoOverride(t *testing.T) {
	t.Parallel()
	a, trust := newAuthority(t)
	for name, c := range map[string]struct{ server, file, line string }{
		"user and password": {server: "authorization: { users: [{ user: worker, password: secret }] }", line: "NATS_USER=worker\nNATS_PASSWORD=secret"},
		"credentials file":  {server: trust, file: "nats.creds", line: "NATS_CREDS=/etc/revoker/nats.creds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t, testsite.Token)
			s := testsite.New(t, testsite.Simulator{})
			s.Login = nats.UserInfo("worker", "secret")
			if c.file != "" {
				a.credentials(filepath.Join(i.folder, c.file), time.Hour)
				i.run("install -m 640 -g revoker " + c.file + " /etc/revoker/")
				s.Login = nats.UserCredentials(filepath.Join(i.folder, c.file))
			}
			i.write("nats.conf", c.server)
			s.StartNATS("--config", filepath.Join(i.folder, "nats.conf"))
			i.start(append(whereabouts(s), c.line)...)
			s.Publish(0, 1)
			testproc.WaitFor(t, "revocation", func() bool { return s.Sessions()["SECRET-session-0"].Revoked() })
		})
	}
}

// The document says that a new token needs no restart.
func TestTheUnitTakesUpANewToken(t *testing.T) {
	t.Parallel()
	i := install(t, "expired")
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	p := i.start(whereabouts(s)...)
	s.Publish(0, 1)
	testproc.WaitFor(t, "refusal", func() bool { return strings.Contains(p.Stderr.String(), `"status":401`) })
	i.write("authlete-token", testsite.Token+"\n")
	for _, command := range i.commands {
		if strings.Contains(command, "authlete-token") {
			i.run(command)
		}
	}
	testproc.WaitFor(t, "revocation with the new token", func() bool { return s.Sessions()["SECRET-session-0"].Revoked() })
	if !p.Running() {
		t.Error("it ended")
	}
}

// Whoever is neither root nor the service reads no secret, and the service changes none.
func TestTheUnitsSecretsAreClosed(t *testing.T) {
	t.Parallel()
	i := install(t, testsite.Token)
	for name, want := range map[string]os.FileMode{
		"/etc/revoker": 0o750, "/etc/revoker/authlete-token": 0o640, "/etc/revoker/revoker.env": 0o600,
	} {
		info, err := os.Stat(i.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has the permissions %o, want %o", name, got, want)
		}
	}
	if user := i.settings["User"]; len(user) != 1 || !strings.Contains(testproc.ReadFile(t, "deploy/systemd/revoker.service"), "nologin "+user[0]+"\n") {
		t.Errorf("it runs as %v, whom nothing creates", user)
	}
}

package systemtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/events/admin"
	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// identity is what a user of deploy/nats/accounts.conf sets, as its comments say.
func identity(user string) []string {
	return []string{"NATS_USER=" + user, "NATS_PASSWORD=SECRET-" + user, "NATS_INBOX_PREFIX=_INBOX_" + user}
}

func login(user string) nats.Option {
	return func(o *nats.Options) error {
		return errors.Join(nats.UserInfo(user, "SECRET-"+user)(o), nats.CustomInboxPrefix("_INBOX_"+user)(o))
	}
}

// newAccountsSite has the passwords of deploy/nats for its servers, one of them as a hash, and is the operator itself.
func newAccountsSite(t *testing.T, s testsite.Simulator) *testsite.Site {
	t.Helper()
	const hash = "$2a$04$G8.5MYo31l.LuLK/EWWvZewgGnbsUwSnW8cWVs40RpDRto1DrnEt2" // bcrypt of SECRET-worker
	site := testsite.New(t, s)
	site.Login = login("operator")
	site.ServerEnv = []string{
		"NATS_WORKER_PASSWORD=" + hash, "NATS_PUBLISHER_PASSWORD=SECRET-publisher", "NATS_OPERATOR_PASSWORD=SECRET-operator", "NATS_SETUP_PASSWORD=SECRET-setup",
		"NATS_CLUSTER_PASSWORD=SECRET-cluster",
	}
	return site
}

// publishAs stores an event for each session with `revoker publish`, and returns its exit code.
func publishAs(s *testsite.Site, user string, from, to int) int {
	s.T.Helper()
	p := testproc.Start(s.T, append(identity(user), "NATS_URL="+s.NATSURL), testproc.Binary(s.T, "revoker"), "publish")
	for i := from; i < to; i++ {
		fmt.Fprintf(p.Stdin, "SECRET-session-%d\n", i)
	}
	p.Stdin.Close()
	return p.Wait()
}

func TestEachIdentityCanDoItsWork(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{Bad: 10})
	startOneServer(s)
	const receipts = "REVOKER_RECEIPTS=true"
	operator, worker := append(identity("operator"), receipts), append(identity("worker"), receipts)
	setup := append(identity("setup"), receipts)

	s.Says(0, setup, []string{"setup", "--yes"}, "5 objects created")
	w := s.StartWorker(worker...)
	if code := publishAs(s, "publisher", 0, 100); code != 0 {
		t.Errorf("publishing: exit code %d", code)
	}
	s.WaitDone()
	if n := len(s.DeadLetters("CALLER_ERROR")); n != 10 {
		t.Errorf("%d dead letters, want 10", n)
	}
	for name, f := range s.Check(0, worker) {
		if f.State != admin.OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if stream, err := s.JS.Stream(s.Deadline(), "SESSIONS_REVOKED"); err != nil || stream.CachedInfo().State.Msgs != 90 {
		t.Errorf("not 90 receipts: %v", err)
	}
	s.Says(0, append([]string{"REVOKER_ACK_WAIT=20s"}, setup...), []string{"setup", "--yes"}, "2 settings changed")
	s.Says(0, operator, []string{"pause"}, "paused")
	if code := publishAs(s, "operator", 100, 101); code != 0 {
		t.Errorf("publishing as operator: exit code %d", code)
	}
	testproc.WaitFor(t, "the whole status", func() bool { // the worker has a second for its answer
		got := s.Status(operator...)
		return got.Backlog == 1 && len(got.Unknown) == 0 && got.Paused && got.Oldest != nil && got.DeadLetters.Reasons["CALLER_ERROR"] == 10 && len(got.Workers) == 1
	})
	s.Says(0, operator, []string{"resume"}, "resumed")
	s.Says(0, operator, []string{"dlq", "ls"}, "CALLER_ERROR")
	s.Says(0, operator, []string{"dlq", "replay", "1", "2", "--yes"})
	s.Says(0, operator, []string{"dlq", "rm", "3", "--yes"})
	if out, code := s.Say(operator, "dlq", "show", "4"); code != 0 || !strings.Contains(out, "SECRET-session-") {
		t.Errorf("dlq show: exit code %d, %s", code, out)
	}
	s.WaitDone()
	if n := len(s.Sessions()); n != 101 { // two of them for a second time
		t.Errorf("%d sessions were called, want 101", n)
	}

	if log := strings.ToLower(w.Stderr.String()); strings.Contains(log, "permission") {
		t.Errorf("the worker lacks a permission:\n%s", log)
	}
	w.Signal(os.Interrupt)
	if code := w.Wait(); code != 0 {
		t.Errorf("the worker's exit code is %d", code)
	}
}

// With the lines for the console page, the worker can show dead letters, and resume.
func TestTheConsolesPermissions(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{Bad: 100})
	s.Edit = withConsole
	startOneServer(s)
	const receipts = "REVOKER_RECEIPTS=true"
	s.Says(0, append(identity("setup"), receipts), []string{"setup"})
	address := testport.Address(t)
	w := s.StartWorker(append(identity("worker"), receipts, "REVOKER_OPS_ADDR="+address, "REVOKER_CONSOLE_TOKEN="+consoleToken)...)
	publishAs(s, "publisher", 0, 3)
	s.WaitDone()
	response, err := http.Post("http://"+address+"/console/letters", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var list struct{ Total int }
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil || list.Total != 3 {
		t.Errorf("%s: %v, %+v", response.Status, err, list)
	}
	b := newBrowser(t, "http://"+address)
	b.signIn()
	testproc.WaitFor(t, "all that is known of a session", func() bool { // the console looks for two seconds
		status, text := b.do("POST", "/console/session", map[string]any{"session": "SECRET-session-0"})
		return status == http.StatusOK && strings.Contains(text, `"state":"dead-letter"`) && !strings.Contains(text, `"unknown"`)
	})
	for _, path := range []string{"/console/pause", "/console/resume"} {
		if status, text := b.do("POST", path, map[string]any{}); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if log := strings.ToLower(w.Stderr.String()); strings.Contains(log, "permission") {
		t.Errorf("the worker lacks a permission:\n%s", log)
	}
}

// The three servers of deploy/nats/cluster.conf find one another, and one of them may fail. Not parallel, like the other
// test of a cluster.
func TestTheClusterConfiguration(t *testing.T) {
	s := newAccountsSite(t, testsite.Simulator{})
	servers := startThreeServers(s)
	replicated := append([]string{"REVOKER_REPLICAS=3"}, identity("setup")...)
	testproc.WaitFor(t, "a cluster that can hold three replicas", func() bool {
		_, code := s.Say(replicated, "setup", "--yes")
		return code == 0
	})
	w := s.StartWorker(append([]string{"REVOKER_REPLICAS=3"}, identity("worker")...)...)
	if code := publishAs(s, "publisher", 0, 50); code != 0 {
		t.Errorf("publishing: exit code %d", code)
	}
	s.WaitDone()
	servers[0].Signal(syscall.SIGKILL)
	servers[0].Wait()
	testproc.WaitFor(t, "a stream that takes events again", func() bool { return publishAs(s, "publisher", 50, 100) == 0 })
	testproc.WaitFor(t, "the last revocation", func() bool { return len(s.Sessions()) == 100 })
	if log := strings.ToLower(w.Stderr.String()); strings.Contains(log, "permission") {
		t.Errorf("the worker lacks a permission:\n%s", log)
	}
}

// startConfigured starts a server with a file of deploy/nats, at addresses and with a store of the test's own.
func startConfigured(s *testsite.Site, name, client, cluster, store string) *testproc.Process {
	s.T.Helper()
	folder := s.T.TempDir()
	for _, file := range []string{name, "accounts.conf"} {
		text, err := os.ReadFile("../../../deploy/nats/" + file)
		if err != nil {
			s.T.Fatal(err)
		}
		if file == name {
			text = replaced(s.T, text, "0.0.0.0:4222", client)
			text = replaced(s.T, text, "127.0.0.1:8222", testport.Address(s.T))
			text = replaced(s.T, text, "/data", store)
			text = append(text, "\nauthorization { timeout: 60 }\n"...) // the server gives a client two seconds, and one may be held up for longer
		}
		if s.Edit != nil {
			text = []byte(s.Edit(string(text)))
		}
		if cluster != "" && file == name {
			text = replaced(s.T, text, "0.0.0.0:6222", cluster)
		}
		if err := os.WriteFile(filepath.Join(folder, file), text, 0o600); err != nil {
			s.T.Fatal(err)
		}
	}
	return testproc.Start(s.T, s.ServerEnv, testproc.Binary(s.T, "nats-server"), "--config", filepath.Join(folder, name))
}

// startOneServer starts the server of server.conf, and startThree those of cluster.conf.
func startOneServer(s *testsite.Site) {
	s.T.Helper()
	startOneServerOn(s, s.T.TempDir())
}

// startOneServerOn starts it on a store that there may be already.
func startOneServerOn(s *testsite.Site, store string) *testproc.Process {
	s.T.Helper()
	server := startConfigured(s, "server.conf", strings.TrimPrefix(s.NATSURL, "nats://"), "", store)
	s.Connect()
	return server
}

func startThreeServers(s *testsite.Site) (servers []*testproc.Process) {
	s.T.Helper()
	var clients, clusters, routes []string
	for range nodes {
		clients = append(clients, testport.Address(s.T))
		clusters = append(clusters, testport.Address(s.T))
		routes = append(routes, "nats://cluster:SECRET-cluster@"+clusters[len(clusters)-1])
	}
	s.NATSURL = "nats://" + strings.Join(clients, ",nats://")
	s.ServerEnv = append(s.ServerEnv, "NATS_ROUTES=["+strings.Join(routes, ", ")+"]")
	for i := range nodes {
		s.ServerEnv = append(s.ServerEnv, fmt.Sprintf("NATS_SERVER_NAME=nats-%d", i)) // the last one counts
		servers = append(servers, startConfigured(s, "cluster.conf", clients[i], clusters[i], s.T.TempDir()))
	}
	s.Connect()
	return servers
}

func replaced(t testing.TB, text []byte, old, with string) []byte {
	t.Helper()
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("no %s in deploy/nats", old)
	}
	return bytes.ReplaceAll(text, []byte(old), []byte(with))
}

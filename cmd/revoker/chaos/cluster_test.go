package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"revoker/internal/testport"
	"revoker/internal/testproc"
)

const nodes = 3

// cluster is three NATS servers that replicate their streams. Each pair is joined through a relay of its own, in both directions.
type cluster struct {
	t     *testing.T
	nodes [nodes]*node
}

// node is one server.
type node struct {
	name    string
	client  string // address
	monitor string // address
	config  string // file
	process *testproc.Process
	routes  [nodes]*testproc.Relay // by the node that dials through it; nil for itself
}

// startCluster starts the servers. The test's own connection waits for their leader.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t}
	folder := t.TempDir()
	var listensForRoutes [nodes]string
	for i := range nodes {
		n := &node{name: fmt.Sprintf("node-%d", i), client: testport.Address(t), monitor: testport.Address(t)}
		listensForRoutes[i] = testport.Address(t)
		n.config = filepath.Join(folder, n.name+".conf")
		for dialer := range nodes {
			if dialer != i {
				n.routes[dialer] = testproc.NewRelay(t, listensForRoutes[i])
			}
		}
		c.nodes[i] = n
	}
	for i, n := range c.nodes {
		var routes []string
		for _, other := range c.nodes {
			if other != n {
				routes = append(routes, fmt.Sprintf("%q", "nats://"+other.routes[i].Addr))
			}
		}
		// Nobody may find a way around the relays: clients learn no other server's address, and servers learn one where nobody listens.
		config := fmt.Sprintf(`server_name: %s
listen: %q
http: %q
jetstream { store_dir: %q }
cluster { name: chaos, listen: %q, no_advertise: true, cluster_advertise: "127.0.0.1:1", routes: [%s] }
`, n.name, n.client, n.monitor, filepath.Join(folder, n.name), listensForRoutes[i], strings.Join(routes, ", "))
		if err := os.WriteFile(n.config, []byte(config+accounts(0)), 0o600); err != nil {
			t.Fatal(err)
		}
		n.start(t)
	}
	return c
}

// accounts is the part of the configuration with the accounts; the one of all clients may store so many bytes, or any number for 0.
func accounts(most int64) string {
	limit := "enabled"
	if most > 0 {
		limit = fmt.Sprintf("{ max_file: %d }", most)
	}
	return fmt.Sprintf(`accounts {
  SYS { users: [ { user: sys, password: sys } ] }
  APP { jetstream: %s, users: [ { user: app, password: app } ] }
}
system_account: SYS
no_auth_user: app
`, limit)
}

func (n *node) start(t *testing.T) {
	n.process = testproc.Start(t, nil, testproc.Binary(t, "nats-server"), "-c", n.config)
}

func (n *node) kill() {
	n.process.Signal(syscall.SIGKILL)
	n.process.Wait()
}

// url names all servers.
func (c *cluster) url() string {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, "nats://"+n.client)
	}
	return strings.Join(urls, ",")
}

// limitStorage changes how much the account may store, on every server.
func (c *cluster) limitStorage(most int64) {
	for _, n := range c.nodes {
		config, err := os.ReadFile(n.config)
		if err != nil {
			c.t.Fatal(err)
		}
		own, _, _ := strings.Cut(string(config), "accounts {")
		// A server that starts at this moment must not read half of it: without a configuration it would listen everywhere.
		if err := os.WriteFile(n.config+".new", []byte(own+accounts(most)), 0o600); err != nil {
			c.t.Fatal(err)
		}
		if err := os.Rename(n.config+".new", n.config); err != nil {
			c.t.Fatal(err)
		}
		// A server that the other fault ended reads it when it starts. One that was started a moment ago is ended by the signal until
		// it is ready, and may have read the configuration before.
		testproc.WaitFor(c.t, n.name, func() bool {
			return !n.process.Running() || strings.Contains(n.process.Stderr.String(), "Server is ready")
		})
		if n.process.Running() {
			n.process.Signal(syscall.SIGHUP)
		}
	}
}

// relaysOf are those through which a node is joined to the others.
func (c *cluster) relaysOf(i int) (relays []*testproc.Relay) {
	for j, other := range c.nodes {
		if j != i {
			relays = append(relays, c.nodes[i].routes[j], other.routes[i])
		}
	}
	return relays
}

// named is the place of a node; -1 for none.
func (c *cluster) named(name string) int {
	for i, n := range c.nodes {
		if n.name == name {
			return i
		}
	}
	return -1
}

// metaLeader is the node that creates streams and consumers, or "".
func (c *cluster) metaLeader() string {
	client := http.Client{Timeout: time.Second}
	for _, n := range c.nodes {
		response, err := client.Get("http://" + n.monitor + "/jsz")
		if err != nil {
			continue
		}
		var answer struct {
			Meta struct {
				Leader string `json:"leader"`
			} `json:"meta_cluster"`
		}
		err = json.NewDecoder(response.Body).Decode(&answer)
		response.Body.Close()
		if err == nil && answer.Meta.Leader != "" {
			return answer.Meta.Leader
		}
	}
	return ""
}

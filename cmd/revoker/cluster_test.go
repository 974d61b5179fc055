package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/worker/authlete/sim"
)

const (
	nodes         = 3
	clusterEvents = 6000
)

// newCluster starts three NATS servers that replicate their streams, and returns them by name.
func newCluster(t *testing.T, s simulator) (*site, map[string]*process) {
	t.Helper()
	c := newSite(t, s)
	var clients, routes [nodes]string
	for i, ports := 0, freePorts(t, 2*nodes); i < nodes; i++ {
		clients[i] = fmt.Sprintf("127.0.0.1:%d", ports[i])
		routes[i] = fmt.Sprintf("nats://127.0.0.1:%d", ports[nodes+i])
	}
	servers := map[string]*process{}
	for i := range nodes {
		name := fmt.Sprintf("node-%d", i)
		servers[name] = start(t, nil, binary(t, "nats-server"), "--server_name", name, "--addr", "127.0.0.1", "--port", clients[i][strings.LastIndexByte(clients[i], ':')+1:],
			"--jetstream", "--store_dir", t.TempDir(), "--cluster_name", "test", "--cluster", routes[i], "--routes", strings.Join(routes[:], ","))
	}
	c.natsURL = "nats://" + strings.Join(clients[:], ",nats://")
	nc, err := nats.Connect(c.natsURL, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if c.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(clusterEvents)); err != nil {
		t.Fatal(err)
	}
	// A new cluster elects no leader until all three have met, so that one whose port was taken would stop the others for ever.
	waitFor(t, "leader of the cluster", func() bool {
		for name, server := range servers {
			if !server.running() {
				t.Fatalf("%s ended:\n%s", name, server.stderr.String())
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := c.js.AccountInfo(ctx)
		return err == nil
	})
	return c, servers
}

// stepDown makes the leader of the stream or of its consumer give way, and waits for another.
func (s *site) stepDown(request string) {
	s.t.Helper()
	before := s.leader()
	answer, err := s.js.Conn().Request("$JS.API."+request, nil, testTimeout)
	if err != nil || !strings.Contains(string(answer.Data), `"success":true`) {
		s.t.Fatalf("%s: %v", request, err)
	}
	if strings.HasPrefix(request, "CONSUMER") {
		waitFor(s.t, "another leader", func() bool { return s.leader() != before })
	}
}

// state asks for the consumer's state, and gives up soon: while a leader is elected nobody answers.
func (s *site) state() (*jetstream.ConsumerInfo, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	consumer, err := s.js.Consumer(ctx, "SESSIONS", "revoker")
	if err != nil {
		return nil, false
	}
	info := consumer.CachedInfo()
	return info, info.Cluster != nil && info.Cluster.Leader != ""
}

// leader returns the name of the server that leads the consumer.
func (s *site) leader() string {
	s.t.Helper()
	var info *jetstream.ConsumerInfo
	waitFor(s.t, "leader of the consumer", func() (known bool) {
		info, known = s.state()
		return known
	})
	return info.Cluster.Leader
}

// Two workers share a backlog on a replicated stream; in mid-run the leaders of consumer and stream change, then the
// consumer's leader and one of the workers are killed.
// Not parallel: three servers that vote need their share of the machine.
func TestClusterLosesNothing(t *testing.T) {
	c, servers := newCluster(t, simulator{Bad: 1, Jitter: 40 * time.Millisecond})
	env := []string{"REVOKER_REPLICAS=3", "REVOKER_ACK_WAIT=2s", "REVOKER_CONCURRENCY=16"}
	first, second := c.startWorker(env...), c.startWorker(env...)
	c.publish(0, clusterEvents)
	settled := func(w *process) int { return strings.Count(w.stderr.String(), `"outcome":"revoked"`) }
	progress := func(events int) {
		t.Helper()
		waitFor(t, "progress", func() bool { return settled(first)+settled(second) > events })
	}
	progress(clusterEvents / 3)
	few, many := settled(first), settled(second)
	if few > many {
		few, many = many, few
	}
	if few < many/2 {
		t.Errorf("the workers settled %d and %d events of a backlog that they share", few, many)
	}
	c.stepDown("CONSUMER.LEADER.STEPDOWN.SESSIONS.revoker")
	progress(clusterEvents / 2)
	c.stepDown("STREAM.LEADER.STEPDOWN.SESSIONS")
	progress(clusterEvents * 2 / 3)
	leader := c.leader()
	servers[leader].signal(syscall.SIGKILL)
	servers[leader].wait()
	first.signal(syscall.SIGKILL)
	first.wait()
	t.Logf("%s and a worker were killed after %d events", leader, settled(first)+settled(second))

	waitFor(t, "end of the backlog", func() bool {
		info, known := c.state()
		return known && info.Delivered.Stream >= clusterEvents && info.NumPending == 0 && info.NumAckPending == 0
	})
	if c.leader() == leader {
		t.Errorf("%s leads although it was killed", leader)
	}
	sessions, letters := c.sessions(), c.deadLetters("CALLER_ERROR")
	for i := range clusterEvents {
		id := fmt.Sprintf("SECRET-session-%d", i)
		bad := c.sim.kind(id) == sim.CallerError
		if n := letters[fmt.Sprintf(`{"sessionId":%q}`, id)]; sessions[id].Revoked() == bad || (n == 1) != bad {
			t.Errorf("%s: revoked %v, %d dead letters", id, sessions[id].Revoked(), n)
		}
	}
	if stream, err := c.js.Stream(c.deadline(), "SESSIONS"); err != nil || stream.CachedInfo().Config.Replicas != nodes {
		t.Errorf("the stream is not replicated: %v", err)
	}
}

package systemtest

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

const (
	nodes         = 3
	clusterEvents = 6000
)

// newCluster starts three NATS servers that replicate their streams, and returns them by name.
func newCluster(t *testing.T, s testsite.Simulator) (*testsite.Site, map[string]*testproc.Process) {
	t.Helper()
	c := testsite.New(t, s)
	var clients, routes [nodes]string
	for i := range nodes {
		clients[i], routes[i] = testport.Address(t), "nats://"+testport.Address(t)
	}
	servers := map[string]*testproc.Process{}
	for i := range nodes {
		name := fmt.Sprintf("node-%d", i)
		servers[name] = testproc.Start(t, nil, testproc.Binary(t, "nats-server"), "--server_name", name, "--addr", "127.0.0.1", "--port", clients[i][strings.LastIndexByte(clients[i], ':')+1:],
			"--jetstream", "--store_dir", t.TempDir(), "--cluster_name", "test", "--cluster", routes[i], "--routes", strings.Join(routes[:], ","))
	}
	c.NATSURL = "nats://" + strings.Join(clients[:], ",nats://")
	nc, err := nats.Connect(c.NATSURL, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if c.JS, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(clusterEvents)); err != nil {
		t.Fatal(err)
	}
	// A new cluster elects no leader until all three have met, so that one whose port was taken would stop the others for ever.
	testproc.WaitFor(t, "leader of the cluster", func() bool {
		for name, server := range servers {
			if !server.Running() {
				t.Fatalf("%s ended:\n%s", name, server.Stderr.String())
			}
		}
		return led(c)
	})
	return c, servers
}

// led tells whether the cluster has a leader. Without one it creates neither streams nor consumers, even where a stream has its own.
func led(s *testsite.Site) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := s.JS.AccountInfo(ctx)
	return err == nil
}

// stepDown makes the leader of the stream or of its consumer give way, and waits for another.
func stepDown(s *testsite.Site, request string) {
	s.T.Helper()
	before := leaderOf(s)
	answer, err := s.JS.Conn().Request("$JS.API."+request, nil, testproc.Timeout)
	if err != nil || !strings.Contains(string(answer.Data), `"success":true`) {
		s.T.Fatalf("%s: %v", request, err)
	}
	if strings.HasPrefix(request, "CONSUMER") {
		testproc.WaitFor(s.T, "another leader", func() bool { return leaderOf(s) != before })
	}
}

// consumerState asks for the consumer's state, and gives up soon: while a leader is elected nobody answers.
func consumerState(s *testsite.Site) (*jetstream.ConsumerInfo, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	consumer, err := s.JS.Consumer(ctx, "SESSIONS", "revoker")
	if err != nil {
		return nil, false
	}
	info := consumer.CachedInfo()
	return info, info.Cluster != nil && info.Cluster.Leader != ""
}

// leaderOf returns the name of the server that leads the consumer.
func leaderOf(s *testsite.Site) string {
	s.T.Helper()
	var info *jetstream.ConsumerInfo
	testproc.WaitFor(s.T, "leader of the consumer", func() (known bool) {
		info, known = consumerState(s)
		return known
	})
	return info.Cluster.Leader
}

// Two workers share a backlog on a replicated stream; in mid-run the leaders of consumer and stream change, then the
// consumer's leader and one of the workers are killed.
// Not parallel: three servers that vote need their share of the machine.
func TestClusterLosesNothing(t *testing.T) {
	c, servers := newCluster(t, testsite.Simulator{Bad: 1, Jitter: 40 * time.Millisecond})
	env := []string{"REVOKER_REPLICAS=3", "REVOKER_ACK_WAIT=2s", "REVOKER_CONCURRENCY=16"}
	first, second := c.StartWorker(env...), c.StartWorker(env...)
	c.Publish(0, clusterEvents)
	settled := func(w *testproc.Process) int { return strings.Count(w.Stderr.String(), `"outcome":"revoked"`) }
	progress := func(n int) {
		t.Helper()
		testproc.WaitFor(t, "progress", func() bool { return settled(first)+settled(second) > n })
	}
	// How even their shares are depends on what each worker measures; BenchmarkRateLimit has it. If the machine holds one of them up
	// while the other settles everything, that one gets its share of more.
	events := clusterEvents
	testproc.WaitFor(t, "a share for each worker", func() bool {
		if info, known := consumerState(c); known && info.Delivered.Stream >= uint64(events) && info.NumPending == 0 {
			c.Publish(events, events+clusterEvents)
			events += clusterEvents
		}
		return min(settled(first), settled(second)) > clusterEvents/30
	})
	progress(events / 3)
	stepDown(c, "CONSUMER.LEADER.STEPDOWN.SESSIONS.revoker")
	progress(events / 2)
	stepDown(c, "STREAM.LEADER.STEPDOWN.SESSIONS")
	progress(events * 2 / 3)
	leader := leaderOf(c)
	servers[leader].Signal(syscall.SIGKILL)
	servers[leader].Wait()
	first.Signal(syscall.SIGKILL)
	first.Wait()
	t.Logf("%s and a worker were killed after %d events", leader, settled(first)+settled(second))

	testproc.WaitFor(t, "end of the backlog", func() bool {
		info, known := consumerState(c)
		return known && info.Delivered.Stream >= uint64(events) && info.NumPending == 0 && info.NumAckPending == 0
	})
	if leaderOf(c) == leader {
		t.Errorf("%s leads although it was killed", leader)
	}
	sessions, letters := c.Sessions(), c.DeadLetters("CALLER_ERROR")
	for i := range events {
		id := fmt.Sprintf("SECRET-session-%d", i)
		bad := c.Sim.Kind(id) == sim.CallerError
		if n := letters[fmt.Sprintf(`{"sessionId":%q}`, id)]; sessions[id].Revoked() == bad || (n == 1) != bad {
			t.Errorf("%s: revoked %v, %d dead letters", id, sessions[id].Revoked(), n)
		}
	}
	if stream, err := c.JS.Stream(c.Deadline(), "SESSIONS"); err != nil || stream.CachedInfo().Config.Replicas != nodes {
		t.Errorf("the stream is not replicated: %v", err)
	}
}

// A cluster refuses a stream while it knows too few servers for the replicas, as when it starts. The worker waits, so that nobody need
// start it again, and takes what is there by then.
func TestAWorkerWaitsForEnoughServers(t *testing.T) {
	c, _ := newCluster(t, testsite.Simulator{})
	w := testproc.Start(t, c.Env("REVOKER_REPLICAS=5"), testproc.Binary(t, "revoker"), "run")
	testproc.WaitFor(t, "word of it", func() bool {
		if !w.Running() {
			t.Fatalf("the worker ended:\n%s", w.Stderr.String())
		}
		return strings.Contains(w.Stderr.String(), "no suitable peers")
	})
	for name, subjects := range map[string][]string{"SESSIONS": {"session.ended", "session.ended.bulk"}, "SESSIONS_DLQ": {"dlq.session.ended"}} {
		if _, err := c.JS.CreateStream(c.Deadline(), jetstream.StreamConfig{Name: name, Subjects: subjects, Discard: jetstream.DiscardNew}); err != nil {
			t.Fatal(err)
		}
	}
	testproc.WaitFor(t, "worker", func() bool { return strings.Contains(w.Stderr.String(), `"msg":"working"`) })
}

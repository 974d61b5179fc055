package systemtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// While the stream has no leader `publish` waits for one, and stores everything then.
// Not parallel: three servers that vote need their share of the machine.
func TestPublishWaitsForAnElection(t *testing.T) {
	c, servers := newCluster(t, testsite.Simulator{})
	stream, err := c.JS.CreateStream(c.Deadline(), jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}, Replicas: nodes})
	if err != nil {
		t.Fatal(err)
	}
	// Without two of the three there is no leader until one of them is back.
	info := stream.CachedInfo().Cluster
	killed := []*testproc.Process{servers[info.Leader], servers[info.Replicas[0].Name]}
	for _, server := range killed {
		server.Kill()
	}
	testproc.WaitFor(t, "stream without a leader", func() bool {
		_, err := c.JS.Conn().Request("session.ended", nil, time.Second)
		return errors.Is(err, nats.ErrNoResponders)
	})
	p := c.StartPublish(sessionFile(t, 100))
	// The node that is left may still answer for the cluster a moment, if it led that.
	testproc.WaitFor(t, "word of the wait", func() bool {
		log := p.Stderr.String()
		return strings.Contains(log, "JetStream is not ready; waiting for it") || strings.Contains(log, "sending it again") || !p.Running()
	})
	for _, server := range killed {
		testproc.Start(t, nil, server.Cmd.Path, server.Cmd.Args[1:]...)
	}
	if code := p.Wait(); code != 0 || !strings.HasPrefix(p.Stdout.String(), "published 100, already there 0") {
		t.Errorf("exit code %d: %s%s", code, p.Stdout.String(), p.Stderr.String())
	}
	testproc.WaitFor(t, "leader of the cluster", func() bool { return led(c) }) // it is elected apart from the stream's
	once(c, 100)
}

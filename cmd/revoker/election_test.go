package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// While the stream has no leader `publish` waits for one, and stores everything then.
// Not parallel: three servers that vote need their share of the machine.
func TestPublishWaitsForAnElection(t *testing.T) {
	c, servers := newCluster(t, simulator{})
	stream, err := c.js.CreateStream(c.deadline(), jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}, Replicas: nodes})
	if err != nil {
		t.Fatal(err)
	}
	// Without two of the three there is no leader until one of them is back.
	info := stream.CachedInfo().Cluster
	killed := []*process{servers[info.Leader], servers[info.Replicas[0].Name]}
	for _, server := range killed {
		server.kill()
	}
	waitFor(t, "stream without a leader", func() bool {
		_, err := c.js.Conn().Request("session.ended", nil, time.Second)
		return errors.Is(err, nats.ErrNoResponders)
	})
	p := c.startPublish(sessionFile(t, 100))
	waitFor(t, "word of the wait", func() bool { return strings.Contains(p.stderr.String(), "sending it again") || !p.running() })
	for _, server := range killed {
		start(t, nil, server.cmd.Path, server.cmd.Args[1:]...)
	}
	if code := p.wait(); code != 0 || !strings.HasPrefix(p.stdout.String(), "published 100, already there 0") {
		t.Errorf("exit code %d: %s%s", code, p.stdout.String(), p.stderr.String())
	}
	c.once(100)
}

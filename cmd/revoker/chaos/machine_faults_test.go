package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"revoker/internal/testproc"
)

// any of the workers, or with the process any but the first, which is never ended.
func (c *chaos) anyWorker(r *rand.Rand) *worker    { return c.workers[r.IntN(len(c.workers))] }
func (c *chaos) mortalWorker(r *rand.Rand) *worker { return c.workers[1+r.IntN(len(c.workers)-1)] }
func all(relays []*testproc.Relay, do func(*testproc.Relay)) {
	for _, relay := range relays {
		do(relay)
	}
}

func processFaults() []kind {
	const second = time.Second
	return []kind{
		{"kill -9 of a worker", process, 0, second, func(c *chaos, r *rand.Rand) func() {
			w := c.mortalWorker(r)
			w.end(syscall.SIGKILL, -1)
			return func() { w.start() }
		}},
		{"SIGTERM of a worker", process, 0, second, func(c *chaos, r *rand.Rand) func() {
			w := c.mortalWorker(r)
			w.end(syscall.SIGTERM, 0)
			return func() { w.start() }
		}},
		{"worker paused for longer than the ack wait", process, 3 * second, 5 * second, func(c *chaos, r *rand.Rand) func() {
			w := c.anyWorker(r)
			w.process.Signal(syscall.SIGSTOP)
			return func() { w.process.Signal(syscall.SIGCONT) }
		}},
		{"worker with few file descriptors", process, 2 * second, 4 * second, func(c *chaos, r *rand.Rand) func() {
			w := c.mortalWorker(r)
			w.end(syscall.SIGTERM, 0)
			w.start("ulimit -n 40")
			return func() {
				w.end(syscall.SIGTERM, 0)
				w.start()
			}
		}},
	}
}

func networkFaults() []kind {
	const second = time.Second
	silence := func(relays []*testproc.Relay) func() {
		all(relays, (*testproc.Relay).Silence)
		return func() { all(relays, (*testproc.Relay).Heal) }
	}
	return []kind{
		{"worker partitioned from NATS", network, second, 6 * second, func(c *chaos, r *rand.Rand) func() { return silence(c.anyWorker(r).toNATS) }},
		{"all workers partitioned from NATS", network, second, 4 * second, func(c *chaos, _ *rand.Rand) func() {
			var relays []*testproc.Relay
			for _, w := range c.workers {
				relays = append(relays, w.toNATS...)
			}
			return silence(relays)
		}},
		{"worker's connection to NATS cut", network, 0, second, func(c *chaos, r *rand.Rand) func() {
			all(c.anyWorker(r).toNATS, (*testproc.Relay).Cut)
			return func() {}
		}},
		{"worker's connection to NATS half-open", network, second, 4 * second, func(c *chaos, r *rand.Rand) func() {
			all(c.anyWorker(r).toNATS, (*testproc.Relay).LoseFarEnd)
			return func() {}
		}},
		{"worker partitioned from the API", api, second, 4 * second, func(c *chaos, r *rand.Rand) func() { return silence([]*testproc.Relay{c.anyWorker(r).toAPI}) }},
		{"worker's connections to the API cut", api, 0, second, func(c *chaos, r *rand.Rand) func() {
			c.anyWorker(r).toAPI.Cut()
			return func() {}
		}},
		{"worker's connections to the API half-open", api, second, 3 * second, func(c *chaos, r *rand.Rand) func() {
			c.anyWorker(r).toAPI.LoseFarEnd()
			return func() {}
		}},
	}
}

// leaders are the nodes that lead something, by what a request tells.
type leader struct {
	name string
	find func(c *chaos, ctx context.Context) (string, error)
	down string // the request that makes it give way, below $JS.API
}

func leaders() []leader {
	return []leader{
		{"the event stream", func(c *chaos, ctx context.Context) (string, error) {
			s, err := c.JS.Stream(ctx, "SESSIONS")
			if err != nil {
				return "", err
			}
			return s.CachedInfo().Cluster.Leader, nil
		}, "STREAM.LEADER.STEPDOWN.SESSIONS"},
		{"the consumer", func(c *chaos, ctx context.Context) (string, error) {
			consumer, err := c.JS.Consumer(ctx, "SESSIONS", "revoker")
			if err != nil {
				return "", err
			}
			return consumer.CachedInfo().Cluster.Leader, nil
		}, "CONSUMER.LEADER.STEPDOWN.SESSIONS.revoker"},
		{"the receipts", func(c *chaos, ctx context.Context) (string, error) {
			s, err := c.JS.Stream(ctx, "SESSIONS_REVOKED")
			if err != nil {
				return "", err
			}
			return s.CachedInfo().Cluster.Leader, nil
		}, "STREAM.LEADER.STEPDOWN.SESSIONS_REVOKED"},
		{"the cluster", func(c *chaos, _ context.Context) (string, error) { return c.metaLeader(), nil }, ""},
	}
}

// nodeThatLeads waits until there is a leader.
func (c *chaos) nodeThatLeads(l leader) (found *node, index int) {
	c.eventually("leader of "+l.name, func(ctx context.Context) error {
		name, err := l.find(c, ctx)
		if err != nil {
			return err
		}
		if index = c.named(name); index < 0 {
			return fmt.Errorf("no leader of %s", l.name)
		}
		found = c.nodes[index]
		return nil
	})
	return found, index
}

func serverFaults() (list []kind) {
	const second = time.Second
	for _, l := range leaders() {
		list = append(list, kind{"kill -9 of the server that leads " + l.name, server, 0, 5 * second, func(c *chaos, _ *rand.Rand) func() {
			n, _ := c.nodeThatLeads(l)
			n.kill()
			return func() { n.start(c.t) }
		}})
		if l.down != "" {
			list = append(list, kind{"step-down of the leader of " + l.name, server, 0, second, func(c *chaos, _ *rand.Rand) func() {
				_, _ = c.JS.Conn().Request("$JS.API."+l.down, nil, 2*time.Second) // it may be away because of the other fault
				return func() {}
			}})
		}
	}
	return append(list,
		kind{"SIGTERM of a server", server, 0, 5 * second, func(c *chaos, r *rand.Rand) func() {
			n := c.nodes[r.IntN(nodes)]
			n.process.Signal(syscall.SIGTERM)
			n.process.Wait()
			return func() { n.start(c.t) }
		}},
		kind{"server paused", server, 2 * second, 8 * second, func(c *chaos, r *rand.Rand) func() {
			n := c.nodes[r.IntN(nodes)]
			n.process.Signal(syscall.SIGSTOP)
			return func() { n.process.Signal(syscall.SIGCONT) }
		}},
		kind{"leader of the event stream partitioned from the other servers", server, 2 * second, 12 * second, func(c *chaos, _ *rand.Rand) func() {
			_, i := c.nodeThatLeads(leaders()[0])
			return c.partition(i, (*testproc.Relay).Silence)
		}},
		kind{"routes of a server cut for a while", server, 2 * second, 8 * second, func(c *chaos, r *rand.Rand) func() {
			return c.partition(r.IntN(nodes), (*testproc.Relay).Refuse)
		}},
	)
}

// partition separates a node from the other two, which clients don't notice at first.
func (c *chaos) partition(i int, how func(*testproc.Relay)) func() {
	relays := c.relaysOf(i)
	all(relays, how)
	return func() { all(relays, (*testproc.Relay).Heal) }
}

package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/worker/authlete/sim"
)

var (
	chaosDuration = flag.Duration("chaos.duration", 10*time.Second, "how long faults are injected, for each seed")
	chaosSeed     = flag.Uint64("chaos.seed", 0, "the one seed to run; 0 for a fixed set")
)

// TestChaos injects random faults into real processes while events are published, then holds what the API and the
// dead-letter stream saw against the promise. A seed gives the same faults in the same order.
func TestChaos(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2}
	if *chaosSeed != 0 {
		seeds = []uint64{*chaosSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			newChaos(t, seed).run()
		})
	}
}

// chaos is two workers, a NATS server and the API, each a process, with relays between them that can fail.
type chaos struct {
	*site
	random  *rand.Rand
	server  *process
	workers [2]*process
	toNATS  *relay
	toAPI   *relay
	faults  int
	stored  int // events whose storing the stream has confirmed
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{site: newSite(t, simulator{Failing: 5, Bad: 1, Latency: 3 * time.Millisecond, Jitter: 4 * time.Millisecond}), random: rand.New(rand.NewPCG(seed, seed))}
	c.server = c.startNATS()
	c.toNATS = newRelay(t, strings.TrimPrefix(c.natsURL, "nats://"))
	c.toAPI = newRelay(t, strings.TrimPrefix(c.apiURL, "http://"))
	for i := range c.workers {
		c.startWorkerAt(i)
	}
	waitFor(t, "stream", func() bool {
		_, err := c.js.Stream(c.deadline(), "SESSIONS")
		return err == nil
	})
	return c
}

// startWorkerAt starts a worker behind the relays; it may find NATS away.
func (c *chaos) startWorkerAt(i int) {
	env := c.env("NATS_URL=nats://"+c.toNATS.addr, "AUTHLETE_BASE_URL=http://"+c.toAPI.addr, "REVOKER_ACK_WAIT=2s", "REVOKER_REQUEST_TIMEOUT=2s", "REVOKER_LOG_LEVEL=info")
	c.workers[i] = start(c.t, env, binary(c.t, "revoker"), "run")
}

func (c *chaos) run() {
	ctx, cancel := context.WithTimeout(context.Background(), *chaosDuration)
	defer cancel()
	var publishing sync.WaitGroup
	publishing.Go(func() { c.publishUntil(ctx) })
	for ctx.Err() == nil {
		c.fault()
		c.sleep(200*time.Millisecond, time.Second)
	}
	publishing.Wait()
	for _, w := range c.workers {
		if !w.running() {
			c.t.Errorf("a worker ended by itself:\n%s", w.stderr.String())
		}
	}
	c.check()
}

// sleep is part of a fault's course.
func (c *chaos) sleep(least, most time.Duration) {
	time.Sleep(least + time.Duration(c.random.Int64N(int64(most-least))))
}

// fault injects one fault and heals it.
func (c *chaos) fault() {
	kinds := []struct {
		name string
		do   func()
	}{
		{"kill -9 of a worker", func() { c.endWorker(syscall.SIGKILL) }},
		{"SIGTERM of a worker", func() { c.endWorker(syscall.SIGTERM) }},
		{"kill -9 of the NATS server", c.killNATS},
		{"connections to NATS cut", c.toNATS.cut},
		{"connections to NATS silent", func() { c.silent(c.toNATS) }},
		{"connections to the API cut", c.toAPI.cut},
		{"connections to the API silent", func() { c.silent(c.toAPI) }},
		{"API down", func() { c.outage(sim.Answer{Kind: sim.Unavailable}) }},
		{"API answers SERVER_ERROR", func() { c.outage(sim.Answer{Kind: sim.ServerError}) }},
		{"API asks for time", func() { c.outage(sim.Answer{Kind: sim.TooMany, RetryAfter: "1"}) }},
		{"API slow", func() { c.outage(sim.Answer{Delay: time.Second}) }},
		{"API cuts its answers", func() { c.outage(sim.Answer{Kind: sim.CutBody}) }},
		{"token swapped", c.swapToken},
	}
	kind := kinds[c.random.IntN(len(kinds))]
	c.t.Logf("%s fault: %s", time.Now().Format("15:04:05.000"), kind.name)
	kind.do()
	c.faults++
}

func (c *chaos) endWorker(signal syscall.Signal) {
	i := c.random.IntN(len(c.workers))
	c.workers[i].signal(signal)
	if code := c.workers[i].wait(); signal == syscall.SIGTERM && code != 0 {
		c.t.Errorf("exit code %d after SIGTERM:\n%s", code, c.workers[i].stderr.String())
	}
	c.startWorkerAt(i)
}

func (c *chaos) killNATS() {
	c.server.signal(syscall.SIGKILL)
	c.server.wait()
	c.sleep(100*time.Millisecond, time.Second)
	c.server = start(c.t, nil, binary(c.t, "nats-server"), c.server.cmd.Args[1:]...)
}

func (c *chaos) silent(r *relay) {
	r.blackHole()
	c.sleep(500*time.Millisecond, 2500*time.Millisecond)
	r.heal()
}

func (c *chaos) outage(answer sim.Answer) {
	c.control(http.MethodPost, "/sim/outage", sim.OutageRequest{Answer: answer})
	c.sleep(500*time.Millisecond, 2500*time.Millisecond)
	c.control(http.MethodDelete, "/sim/outage", nil)
}

func (c *chaos) swapToken() {
	c.control(http.MethodPut, "/sim/token", "another")
	c.sleep(500*time.Millisecond, 1500*time.Millisecond)
	c.control(http.MethodPut, "/sim/token", testToken)
}

// publishUntil stores some hundred events a second until ctx is done, each again until the stream has confirmed it.
func (c *chaos) publishUntil(ctx context.Context) {
	ticker := time.NewTicker(3 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		id := fmt.Sprintf("SECRET-session-%d", c.stored)
		for try := 0; ; try++ {
			attempt, cancel := context.WithTimeout(context.Background(), time.Second)
			_, err := c.js.Publish(attempt, "session.ended", fmt.Appendf(nil, `{"sessionId":%q}`, id), jetstream.WithMsgID(id))
			cancel()
			if err == nil {
				break
			}
			if try > 60 {
				c.t.Errorf("publishing: %v", err)
				return
			}
		}
		c.stored++
	}
}

// check holds the outcome against the promise, from the outside.
func (c *chaos) check() {
	c.waitDone()
	sessions, letters, most, calls := c.sessions(), c.deadLetters("CALLER_ERROR"), 0, 0
	for i := range c.stored {
		id := fmt.Sprintf("SECRET-session-%d", i)
		session, letters := sessions[id], letters[fmt.Sprintf(`{"sessionId":%q}`, id)]
		want := 0
		if c.sim.kind(id) == sim.CallerError {
			want = 1
		}
		if letters != want || session.Revoked() == (want == 1) {
			c.t.Errorf("%s: revoked %v, %d dead letters, %d calls", id, session.Revoked(), letters, len(session.Calls))
		}
		most, calls = max(most, len(session.Calls)), calls+len(session.Calls)
	}
	// A fault costs a session its call in flight and perhaps one more; what is beyond would be a loop.
	if bound := failures + 1 + 2*c.faults; most > bound {
		c.t.Errorf("a session was called %d times, want at most %d", most, bound)
	}
	for _, w := range c.workers {
		if strings.Contains(w.stderr.String(), "SECRET") {
			c.t.Error("a secret is in the log")
		}
	}
	c.t.Logf("%d events, %d faults, %.2f calls a session, at most %d", c.stored, c.faults, float64(calls)/float64(c.stored), most)
}

package systemtest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
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
	*testsite.Site
	random  *rand.Rand
	server  *testproc.Process
	workers [2]*testproc.Process
	toNATS  *testproc.Relay
	toAPI   *testproc.Relay
	faults  int
	stored  int // events whose storing the stream has confirmed
}

func newChaos(t *testing.T, seed uint64) *chaos {
	api := testsite.Simulator{Failing: 5, Bad: 1, Cursed: 200, Latency: 3 * time.Millisecond, Jitter: 4 * time.Millisecond}
	c := &chaos{Site: testsite.New(t, api), random: rand.New(rand.NewPCG(seed, seed))}
	c.server = c.StartNATS()
	c.toNATS = testproc.NewRelay(t, strings.TrimPrefix(c.NATSURL, "nats://"))
	c.toAPI = testproc.NewRelay(t, strings.TrimPrefix(c.APIURL, "http://"))
	for i := range c.workers {
		c.startWorkerAt(i)
	}
	testproc.WaitFor(t, "both lanes", func() bool {
		_, err := c.JS.Consumer(c.Deadline(), "SESSIONS", "revoker-bulk")
		return err == nil
	})
	return c
}

// maxAttempts is one more than a session fails that is OK in the end.
const maxAttempts = testsite.Failures + 1

// startWorkerAt starts a worker behind the relays; it may find NATS away. Its limits are so low that many events pass them in an
// outage. Attempts and age alone must not condemn them.
func (c *chaos) startWorkerAt(i int) {
	env := c.Env("NATS_URL=nats://"+c.toNATS.Addr, "AUTHLETE_BASE_URL=http://"+c.toAPI.Addr, "REVOKER_ACK_WAIT=2s", "REVOKER_REQUEST_TIMEOUT=2s", "REVOKER_LOG_LEVEL=info", "REVOKER_RECEIPTS=true",
		fmt.Sprintf("REVOKER_RETRY_MAX_ATTEMPTS=%d", maxAttempts), "REVOKER_RETRY_MAX_AGE=1s", "REVOKER_RETRY_MAX_INTERVAL=500ms")
	c.workers[i] = testproc.Start(c.T, env, testproc.Binary(c.T, "revoker"), "run")
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
		if !w.Running() {
			c.T.Errorf("a worker ended by itself:\n%s", w.Stderr.String())
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
		{"connections to NATS cut", c.toNATS.Cut},
		{"connections to NATS silent", func() { c.silent(c.toNATS) }},
		{"connections to the API cut", c.toAPI.Cut},
		{"connections to the API silent", func() { c.silent(c.toAPI) }},
		{"API down", func() { c.outage(sim.Answer{Kind: sim.Unavailable}) }},
		{"API answers SERVER_ERROR", func() { c.outage(sim.Answer{Kind: sim.ServerError}) }},
		{"API asks for time", func() { c.outage(sim.Answer{Kind: sim.TooMany, RetryAfter: "1"}) }},
		{"API slow", func() { c.outage(sim.Answer{Delay: time.Second}) }},
		{"API cuts its answers", func() { c.outage(sim.Answer{Kind: sim.CutBody}) }},
		{"API allows few calls a second", func() { c.capacity(sim.Capacity{PerSecond: 50 + 300*c.random.Float64()}) }},
		{"API serves few calls at a time", func() { c.capacity(sim.Capacity{Servers: 1 + c.random.IntN(4)}) }},
		{"token swapped", c.swapToken},
	}
	kind := kinds[c.random.IntN(len(kinds))]
	c.T.Logf("%s fault: %s", time.Now().Format("15:04:05.000"), kind.name)
	kind.do()
	c.faults++
}

func (c *chaos) endWorker(signal syscall.Signal) {
	i := c.random.IntN(len(c.workers))
	c.workers[i].Signal(signal)
	if code := c.workers[i].Wait(); signal == syscall.SIGTERM && code != 0 {
		c.T.Errorf("exit code %d after SIGTERM:\n%s", code, c.workers[i].Stderr.String())
	}
	c.startWorkerAt(i)
}

func (c *chaos) killNATS() {
	c.server.Signal(syscall.SIGKILL)
	c.server.Wait()
	c.sleep(100*time.Millisecond, time.Second)
	c.server = testproc.Start(c.T, nil, testproc.Binary(c.T, "nats-server"), c.server.Cmd.Args[1:]...)
}

func (c *chaos) silent(r *testproc.Relay) {
	r.Silence()
	c.sleep(500*time.Millisecond, 2500*time.Millisecond)
	r.Heal()
}

func (c *chaos) outage(answer sim.Answer) {
	c.Control(http.MethodPost, "/sim/outage", sim.OutageRequest{Answer: answer})
	c.sleep(500*time.Millisecond, 2500*time.Millisecond)
	c.Control(http.MethodDelete, "/sim/outage", nil)
}

func (c *chaos) capacity(few sim.Capacity) {
	c.Control(http.MethodPut, "/sim/capacity", few)
	c.sleep(500*time.Millisecond, 2500*time.Millisecond)
	c.Control(http.MethodPut, "/sim/capacity", sim.Capacity{})
}

func (c *chaos) swapToken() {
	c.Control(http.MethodPut, "/sim/token", "another")
	c.sleep(500*time.Millisecond, 1500*time.Millisecond)
	c.Control(http.MethodPut, "/sim/token", testsite.Token)
}

// publishUntil stores some hundred events a second until ctx is done, each again until the stream has confirmed it. The last one
// can be revoked: a session is condemned only while the API works for another, and the workers ask the API about the newest.
func (c *chaos) publishUntil(ctx context.Context) {
	ticker := time.NewTicker(3 * time.Millisecond)
	defer ticker.Stop()
	for last := ""; ctx.Err() == nil || c.Sim.Kind(last) != sim.OK; {
		<-ticker.C
		subject := []string{"session.ended", "session.ended", "session.ended.bulk"}[c.stored%3]
		id := fmt.Sprintf("SECRET-session-%d", c.stored)
		for try := 0; ; try++ {
			attempt, cancel := context.WithTimeout(context.Background(), time.Second)
			_, err := c.JS.Publish(attempt, subject, fmt.Appendf(nil, `{"sessionId":%q}`, id), jetstream.WithMsgID(id))
			cancel()
			if err == nil {
				break
			}
			if try > 60 {
				c.T.Errorf("publishing: %v", err)
				return
			}
		}
		c.stored++
		last = id
	}
}

// reason is why a session must be on the dead-letter subject; empty if it must be revoked.
func (c *chaos) reason(id string) string {
	switch {
	case c.Sim.Hopeless(id):
		return events.ReasonRetriesExhausted
	case c.Sim.Kind(id) == sim.CallerError:
		return events.ReasonCallerError
	}
	return ""
}

// check holds the outcome against the promise, from the outside.
func (c *chaos) check() {
	c.WaitDone()
	sessions, letters, most, calls := c.Sessions(), c.Reasons(), 0, 0
	receipts := receipts(c.Site)
	condemned := map[string]int{}
	for i := range c.stored {
		id := fmt.Sprintf("SECRET-session-%d", i)
		session, reasons := sessions[id], letters[fmt.Sprintf(`{"sessionId":%q}`, id)]
		var want []string
		if reason := c.reason(id); reason != "" {
			want = []string{reason}
			condemned[reason]++
		}
		if !slices.Equal(reasons, want) || session.Revoked() != (want == nil) {
			c.T.Errorf("%s: revoked %v, dead letters %v, want %v, %d calls", id, session.Revoked(), reasons, want, len(session.Calls))
		}
		if receipts[receiptSubject(id)] != (want == nil) {
			c.T.Errorf("%s: a receipt %v, revoked %v", id, !(want == nil), session.Revoked())
		}
		calls += len(session.Calls)
		if !c.Sim.Hopeless(id) && i < c.stored-1 { // the newest is asked about whenever a session is to be condemned
			most = max(most, len(session.Calls))
		}
	}
	// A fault costs a session its call in flight and perhaps one more; what is beyond would be a loop.
	if bound := testsite.Failures + 1 + 2*c.faults; most > bound {
		c.T.Errorf("a session was called %d times, want at most %d", most, bound)
	}
	for _, reason := range []string{events.ReasonCallerError, events.ReasonRetriesExhausted} {
		if condemned[reason] == 0 {
			c.T.Errorf("no session was to become a letter of %s: too few were published", reason)
		}
	}
	for _, w := range c.workers {
		if strings.Contains(w.Stderr.String(), "SECRET") {
			c.T.Error("a secret is in the log")
		}
	}
	c.T.Logf("%d events, %d faults, dead letters %v, %.2f calls a session, at most %d", c.stored, c.faults, condemned, float64(calls)/float64(c.stored), most)
}

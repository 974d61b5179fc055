package chaos

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// target is what a fault acts on. Two faults at once have different ones.
type target string

const (
	process target = "process" // of a worker
	network target = "network" // between a worker and NATS
	api     target = "API"
	server  target = "server"
	stream  target = "stream"
	source  target = "source"
)

// kind is a kind of fault.
type kind struct {
	name        string
	target      target
	least, most time.Duration // that it lasts
	begin       func(c *chaos, r *rand.Rand) (heal func())
}

// fault is one that was injected.
type fault struct {
	kinds    []string
	began    time.Time
	recovery time.Duration // from its end until an event that came in then is revoked
	settled  time.Duration // from its end until every event that came in before is settled
	calls    int           // further calls from its begin to the next one's
}

// kinds are all that can be injected on this machine.
func (c *chaos) kinds() (list []kind) {
	list = append(list, processFaults()...)
	list = append(list, networkFaults()...)
	list = append(list, apiFaults()...)
	list = append(list, serverFaults()...)
	list = append(list, streamFaults()...)
	list = append(list, sourceFaults()...)
	if c.names.hosts != "" {
		list = append(list, kind{"DNS of the API fails", api, 2 * time.Second, 4 * time.Second, (*chaos).loseName})
	}
	matching := regexp.MustCompile(*only)
	return slices.DeleteFunc(list, func(k kind) bool { return !matching.MatchString(k.name) })
}

const (
	// twoAtOnce is the share of the faults that come with a second one.
	twoAtOnce = 0.2
	// giveUp is how long anything may take before it is a violation.
	giveUp = 5 * time.Minute
	// otherServer is after how long another server is asked.
	otherServer = 5 * time.Second
	// longRecovery is worth a word in the log.
	longRecovery = 10 * time.Second
	// longestRecovery is the promise: after the last fault all is settled by then.
	longestRecovery = time.Minute
)

// injectFaults injects one fault after another for a while. Each kind comes once before any comes again.
func (c *chaos) injectFaults(length time.Duration) {
	kinds := c.kinds()
	var order []int
	for deadline := time.Now().Add(length); time.Now().Before(deadline); {
		r := rand.New(rand.NewPCG(*seed, uint64(len(c.faults))))
		if len(order) == 0 {
			order = r.Perm(len(kinds))
		}
		chosen := []kind{kinds[order[0]]}
		order = order[1:]
		if second := kinds[r.IntN(len(kinds))]; r.Float64() < twoAtOnce && second.target != chosen[0].target {
			chosen = append(chosen, second)
		}
		c.inject(chosen, r)
	}
}

func (c *chaos) inject(chosen []kind, r *rand.Rand) {
	f := &fault{began: time.Now()}
	name, length := "", time.Duration(0)
	for i, k := range chosen {
		if i > 0 {
			name += " and "
		}
		name += k.name
		f.kinds = append(f.kinds, k.name)
		length = max(length, between(r, k.least, k.most))
	}
	c.t.Logf("%s fault %d: %s, for %v", clock(), len(c.faults)+1, name, length)
	c.watch.begin(name)
	var heals []func()
	for _, k := range chosen {
		heals = append(heals, k.begin(c, r))
	}
	time.Sleep(length)
	for _, heal := range heals {
		heal()
	}
	healed := time.Now()
	f.recovery = c.recovered(name)
	c.settledUntil(c.lastEvent(), name)
	f.settled = time.Since(healed)
	c.faults = append(c.faults, f)
	time.Sleep(between(r, 0, 500*time.Millisecond))
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)+1))
}

// recovered waits until an event that comes in now is revoked, which its receipt shows, and returns how long that took.
func (c *chaos) recovered(after string) time.Duration {
	id := canary(c.sources.canaries.Add(1) - 1)
	began := time.Now()
	c.send(id, false)
	c.await(after, "a new event is not revoked", func(ctx context.Context) bool { return c.hasReceipt(ctx, id) })
	return time.Since(began)
}

// lastEvent is the sequence of the newest event.
func (c *chaos) lastEvent() (sequence uint64) {
	c.eventually("the event stream", func(ctx context.Context) error {
		found, err := c.JS.Stream(ctx, "SESSIONS")
		if err == nil {
			sequence = found.CachedInfo().State.LastSeq
		}
		return err
	})
	return sequence
}

// settledUntil waits until no event up to a sequence is left, and returns how long that took.
func (c *chaos) settledUntil(sequence uint64, after string) time.Duration {
	began, told := time.Now(), false
	c.await(after, "an older event is not settled", func(ctx context.Context) bool {
		found, err := c.JS.Stream(ctx, "SESSIONS")
		if err != nil {
			return false
		}
		if time.Since(began) > longRecovery && !told {
			told = c.tellOldest(ctx, found)
		}
		return found.CachedInfo().State.FirstSeq > sequence
	})
	return time.Since(began)
}

// tellOldest logs what the API saw of the oldest event that is not settled.
func (c *chaos) tellOldest(ctx context.Context, stream jetstream.Stream) bool {
	msg, err := stream.GetMsg(ctx, stream.CachedInfo().State.FirstSeq)
	if err != nil {
		return false
	}
	id := sessionOf(msg)
	c.t.Logf("%s %d events wait; the oldest, %s on %s, came at %s and wants %q; the API saw", clock(), stream.CachedInfo().State.Msgs, number(id), msg.Subject, msg.Time.Local().Format("15:04:05.000"), c.wanted(id))
	for _, call := range c.Sessions()[id].Calls {
		c.t.Logf("    %s to %s: %s", call.Began.Local().Format("15:04:05.000"), call.Ended.Local().Format("15:04:05.000"), cmp.Or(string(call.Kind), "OK"))
	}
	return true
}

// await waits for a recovery. One that takes longer than promised is a violation.
func (c *chaos) await(after, not string, done func(context.Context) bool) {
	for began, warned := time.Now(), false; ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := request()
		is := done(ctx)
		cancel()
		if is {
			return
		}
		if time.Since(began) > longestRecovery && !warned {
			c.violation("after %q %s after %v", after, not, longestRecovery)
			warned = true
		}
		if time.Since(began) > giveUp {
			c.t.Fatalf("after %q %s after %v", after, not, giveUp)
		}
	}
}

// eventually tries something that the servers may refuse for a while. It goes to another server then: its own may be the one that is
// separated, until what is tried is done.
func (c *chaos) eventually(what string, try func(ctx context.Context) error) {
	c.t.Helper()
	began := time.Now()
	for connected := began; ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := request()
		err := try(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Since(began) > giveUp {
			c.t.Fatalf("%s: %v", what, err)
		}
		if time.Since(connected) > otherServer {
			_ = c.JS.Conn().ForceReconnect() // it fails only where the connection is closed, or is being made anew
			connected = time.Now()
		}
	}
}

// outage makes the API answer every call in a way.
func outage(answer sim.Answer) func(*chaos, *rand.Rand) func() {
	return func(c *chaos, _ *rand.Rand) func() {
		c.Control(http.MethodPost, "/sim/outage", sim.OutageRequest{Answer: answer})
		return func() { c.Control(http.MethodDelete, "/sim/outage", nil) }
	}
}

func apiFaults() []kind {
	const second = time.Second
	return []kind{
		{"API answers SERVER_ERROR to all", api, second / 2, 4 * second, outage(sim.Answer{Kind: sim.ServerError})},
		{"API down, a gateway answers 503", api, second / 2, 4 * second, outage(sim.Answer{Kind: sim.Unavailable})},
		{"API answers with a gateway's HTML", api, second / 2, 3 * second, outage(sim.Answer{Kind: sim.HTML})},
		{"API refuses the token's service", api, second / 2, 3 * second, outage(sim.Answer{Kind: sim.Forbidden})},
		{"API asks for time", api, second / 2, 3 * second, outage(sim.Answer{Kind: sim.TooMany, RetryAfter: "1"})},
		{"API cuts its answers", api, second / 2, 3 * second, outage(sim.Answer{Kind: sim.CutBody})},
		{"API slow", api, second, 4 * second, outage(sim.Answer{Delay: second})},
		{"API hangs", api, second, 4 * second, outage(sim.Answer{Kind: sim.Hang})},
		{"API refuses connections", api, second / 2, 4 * second, (*chaos).refuseConnections},
		{"API allows few calls a second, of changing number", api, second, 3 * second, (*chaos).changeLimits},
		{"API serves few calls at a time", api, second, 4 * second, (*chaos).fewServers},
		{"API accepts another token", api, second / 2, 2 * second, (*chaos).changeToken},
		{"token file wrong", api, second / 2, 3 * second, (*chaos).spoilToken},
	}
}

func (c *chaos) refuseConnections(*rand.Rand) func() {
	for _, w := range c.workers {
		w.toAPI.Refuse()
	}
	return func() {
		for _, w := range c.workers {
			w.toAPI.Heal()
		}
	}
}

// changeLimits sets a rate, another one at the fault's end for a second, and then none.
func (c *chaos) changeLimits(r *rand.Rand) func() {
	first, second := sim.Capacity{PerSecond: 50 + 300*r.Float64()}, sim.Capacity{PerSecond: 50 + 500*r.Float64(), Stated: r.IntN(2) == 0}
	c.Control(http.MethodPut, "/sim/capacity", first)
	return func() {
		c.Control(http.MethodPut, "/sim/capacity", second)
		time.Sleep(time.Second)
		c.Control(http.MethodPut, "/sim/capacity", sim.Capacity{})
	}
}

func (c *chaos) fewServers(r *rand.Rand) func() {
	c.Control(http.MethodPut, "/sim/capacity", sim.Capacity{Servers: 1 + r.IntN(4)})
	return func() { c.Control(http.MethodPut, "/sim/capacity", sim.Capacity{}) }
}

// changeToken is a rotation whose new token reaches the workers late.
func (c *chaos) changeToken(*rand.Rand) func() {
	const another = "SECRET-token-of-a-rotation"
	c.Control(http.MethodPut, "/sim/token", another)
	return func() {
		c.writeToken(another)
		time.Sleep(time.Second)
		c.Control(http.MethodPut, "/sim/token", testsite.Token)
		c.writeToken(testsite.Token)
	}
}

func (c *chaos) spoilToken(*rand.Rand) func() {
	c.writeToken("SECRET-token-of-another-cluster")
	return func() { c.writeToken(testsite.Token) }
}

// loseName cuts the connections to the API too, for those need no name.
func (c *chaos) loseName(*rand.Rand) func() {
	c.names.resolve(false)
	for _, w := range c.workers {
		w.toAPI.Cut()
	}
	return func() { c.names.resolve(true) }
}

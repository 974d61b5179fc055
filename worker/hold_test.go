package worker_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events"
	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// publishEvent stores an event that names its service.
func (b *bench) publishEvent(session, service string) {
	b.t.Helper()
	b.publish(&nats.Msg{Data: events.Event{SessionID: events.SessionID(session), ServiceID: service}.Encode()})
}

// A refused service, with more events than may be pending, keeps nobody else waiting. The worker says which service it
// holds. Once the service is allowed, all of its sessions are revoked.
func TestARefusedServiceHoldsNobodyElseUp(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]sim.Answer{"not allowed": {Kind: sim.Forbidden}, "not there": {Kind: sim.NotFound}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var repaired atomic.Bool
			b := newBench(t, sim.Options{Services: []string{"77"}, Tokens: 1, Rule: func(id string, _ int) sim.Answer {
				if strings.HasPrefix(id, "foreign") && !repaired.Load() {
					return answer
				}
				return sim.Answer{}
			}})
			b.cfg.API.AllowedServiceIDs = []string{"77"}
			b.cfg.MaxAckPending = 100
			b.setup()
			foreign := sessions("foreign", 400)
			for _, id := range foreign {
				b.publishEvent(id, "77")
			}
			b.publishSession("healthy")
			b.start()
			b.waitFor("revocation of the healthy one", func() bool { return b.worker.Counts().Bypassed > 0 }) // and it is remembered
			if held := b.worker.State().Held; len(held) != 1 || held[0].Service != "77" || !strings.Contains(held[0].Reason, "REVOKER_ALLOWED_SERVICE_IDS") {
				t.Errorf("held: %v", held)
			}
			if _, misconfigured := b.worker.Misconfigured(); misconfigured {
				t.Error("one service's refusal counts as a refusal of all")
			}
			if n := b.log.count("the events of a service are held back"); n != 1 {
				t.Errorf("the log says %d times that the service is held", n)
			}
			before := len(b.outcomes("healthy"))
			if before != 0 {
				t.Fatalf("the healthy one was delivered: the consumer was not full")
			}
			repaired.Store(true)
			b.waitDone()
			for _, id := range append(foreign, "healthy") {
				if !b.revoked(id) {
					t.Fatalf("%s is not revoked", id)
				}
			}
			if n := len(b.api.Session("healthy").Calls); n != 1 {
				t.Errorf("%d calls for the healthy one", n)
			}
			b.waitFor("its settlement", func() bool { return len(b.outcomes("healthy")) > 0 }) // it is told after it is sent
			if deleted := b.deleted("healthy"); deleted != 1 {
				t.Errorf("%d tokens were counted for the healthy one", deleted)
			}
			if n := len(b.letters()); n != 0 || len(b.worker.State().Held) != 0 {
				t.Errorf("%d dead letters, held: %v", n, b.worker.State().Held)
			}
		})
	}
}

// Once a refused service is put right, its events are done within five seconds on a machine that is quiet, which this logs: none waits
// for longer than for the next probe and its turn, and none for a backoff of its own.
func TestAHeldServiceIsDoneSoonAfterItIsPutRight(t *testing.T) {
	t.Parallel()
	var repaired atomic.Bool
	b := newBench(t, sim.Options{Latency: 2 * time.Millisecond, Services: []string{"77"}, Rule: func(id string, _ int) sim.Answer {
		if strings.HasPrefix(id, "held") && !repaired.Load() {
			return sim.Answer{Kind: sim.Forbidden}
		}
		return sim.Answer{}
	}})
	b.cfg.API.AllowedServiceIDs = []string{"77"}
	usual := config.Default()
	b.cfg.RetryInitialInterval, b.cfg.RetryMaxInterval = time.Minute, usual.RetryMaxInterval // a backoff would show
	b.cfg.BreakerProbeInterval, b.cfg.BreakerMaxProbeInterval = usual.BreakerProbeInterval, usual.BreakerMaxProbeInterval
	b.start()
	first := sessions("first", 100) // so that how long calls take is known of more than the few that are refused
	b.publishSession(first...)
	b.allRevoked(first)
	held := sessions("held", 1000)
	for _, id := range held {
		b.publishEvent(id, "77")
	}
	b.waitFor("all of them to be handed back", func() bool { return b.info().NumPending == 0 && b.worker.State().InHand == 0 })
	calls := b.api.Calls()
	b.waitFor("two probes", func() bool { return b.api.Calls() >= calls+2 }) // the interval is at its longest then
	repaired.Store(true)
	began := time.Now()
	b.allRevoked(held)
	t.Logf("the last of %d was revoked %s later", len(held), time.Since(began))
	longest := time.Duration(0)
	for _, s := range b.all() {
		longest = max(longest, s.Took)
	}
	// The probe is due within two seconds. Then they come back at the pace of the calls, of which eight at least are made at a time.
	most := 5*time.Second + time.Duration(len(held)/8)*longest
	for _, s := range b.all() {
		if s.Delay > most {
			t.Fatalf("delivery %d of one was %s, and handed back for %s", s.Deliveries, s.Outcome, s.Delay)
		}
	}
}

// A wrong token or address is wrong for all, whichever service an event names.
func TestAWrongTokenOfANamedServiceStopsAll(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]sim.Answer{
		"401": {Kind: sim.Unauthorized}, "405": {Kind: sim.WrongMethod}, "415": {Kind: sim.WrongType}, "302": {Kind: sim.Raw, Status: 302, Location: "/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sim.Options{Services: []string{"77"}})
			b.cfg.API.AllowedServiceIDs = []string{"77"}
			b.api.Outage(answer, 0)
			b.start()
			b.publishEvent("foreign", "77")
			b.waitFor("word of it", func() bool {
				_, misconfigured := b.worker.Misconfigured()
				return misconfigured
			})
			if held := b.worker.State().Held; len(held) != 0 {
				t.Errorf("held: %v", held)
			}
			b.api.Recover()
			b.waitDone()
			if !b.revoked("foreign") {
				t.Error("it is not revoked")
			}
		})
	}
}

// Events of a held service must not spin while the breaker looks for a probe.
func TestHeldEventsDoNotSpinWhileTheBreakerIsOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Services: []string{"77"}, Rule: func(id string, _ int) sim.Answer {
		if strings.HasPrefix(id, "foreign") {
			return sim.Answer{Kind: sim.Forbidden}
		}
		return sim.Answer{Kind: sim.Unavailable}
	}})
	b.cfg.API.AllowedServiceIDs = []string{"77"}
	b.cfg.BreakerProbeInterval, b.cfg.BreakerMaxProbeInterval = 200*time.Millisecond, 200*time.Millisecond
	b.setup()
	b.publishSession(sessions("s", 60)...)
	const foreign = 1000
	for _, id := range sessions("foreign", foreign) {
		b.publishEvent(id, "77")
	}
	b.start()
	b.waitFor("the breaker to open", func() bool { return b.log.count("circuit breaker opened") > 0 })
	before, calls := b.settlements(), b.api.Calls()
	b.waitFor("30 further calls", func() bool { return b.api.Calls() >= calls+30 })
	if n := b.settlements() - before; n > 30*2*8 {
		t.Errorf("%d settlements for 30 calls", n)
	}
}

// While a named service is throttled the others go on.
func TestAThrottledServiceWaitsAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Services: []string{"77"}, Rule: func(id string, attempt int) sim.Answer {
		if id == "foreign" && attempt == 1 {
			return sim.Answer{Kind: sim.TooMany, RetryAfter: "1"}
		}
		return sim.Answer{}
	}})
	b.cfg.API.AllowedServiceIDs = []string{"77"}
	b.start()
	b.publishEvent("foreign", "77")
	b.waitFor("a hold", func() bool { return b.log.count("the events of a service are held back") == 1 }) // it may be over by now
	b.publishSession("healthy")
	b.waitDone()
	calls := b.api.Session("foreign").Calls
	if len(calls) != 2 || calls[1].Began.Sub(calls[0].Ended) < 900*time.Millisecond {
		t.Errorf("the throttled one's calls: %v", calls)
	}
	if n := b.log.count("circuit breaker opened"); n != 0 || !b.revoked("healthy") {
		t.Errorf("the others were paused too:\n%s", b.log)
	}
}

// CALLER_ERROR for everybody looks like a fault that all share: the first ones are dead-lettered, the rest waits and the
// worker is not ready.
func TestTheBrakeHoldsBackWhatCallerErrorWouldCondemn(t *testing.T) {
	t.Parallel()
	for name, release := range map[string]func(*bench){
		"until an operator lets it go on": func(b *bench) { b.worker.LetGo() },
		"until one is revoked":            func(b *bench) { b.publishSession("good") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sim.Options{Rule: func(id string, _ int) sim.Answer {
				if id == "good" {
					return sim.Answer{}
				}
				return sim.Answer{Kind: sim.CallerError}
			}})
			b.cfg.CallerErrorBrake = 20
			b.setup()
			ids := sessions("s", 300)
			b.publishSession(ids...)
			b.start()
			var reason string
			b.waitFor("the brake", func() bool {
				var misconfigured bool
				reason, misconfigured = b.worker.Misconfigured()
				return misconfigured
			})
			if !strings.Contains(reason, "revoker resume") || !strings.Contains(reason, "CALLER_ERROR") {
				t.Errorf("reason: %s", reason)
			}
			calls := b.api.Calls()
			b.waitFor("several probes", func() bool { return b.api.Calls() >= calls+4 })
			if n := len(b.letters()); n > b.cfg.CallerErrorBrake+2*b.cfg.Concurrency || n < b.cfg.CallerErrorBrake-1 {
				t.Errorf("%d dead letters", n)
			}
			for name := range b.outcomesOf(worker.Retry) {
				t.Errorf("%s was retried", name)
			}
			release(b)
			b.waitDone()
			if n := len(b.letters()); n != len(ids) {
				t.Errorf("%d dead letters, want %d", n, len(ids))
			}
			for _, letter := range b.letters() {
				if letter.Header.Get("Revoker-Reason") != "CALLER_ERROR" {
					t.Errorf("reason %s", letter.Header.Get("Revoker-Reason"))
				}
			}
		})
	}
}

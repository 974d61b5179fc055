package worker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// settlementOf returns how a session was revoked, once it is.
func (b *bench) settlementOf(id string) (found worker.Settlement) {
	b.t.Helper()
	b.waitFor("the settlement of "+id, func() bool {
		for _, s := range b.all() {
			if s.Session == events.SessionID(id) && s.Outcome == worker.Revoked {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

// The time to revoked begins at the end of the session, if the event tells it.
func TestTheTimeToRevokedBeginsAtTheSessionsEnd(t *testing.T) {
	t.Parallel()
	const latency = 5 * time.Millisecond
	b := newBench(t, sim.Options{Latency: latency})
	b.start()
	endedAt := time.Now().Add(-time.Hour)
	b.publish(&nats.Msg{Data: events.Event{SessionID: "told", EndedAt: endedAt}.Encode()})
	told := b.settlementOf("told").ToRevoked
	if told < time.Hour+latency || told > time.Since(endedAt) {
		t.Errorf("%s, want an hour and what the call took", told)
	}
	b.publishSession("not-told")
	if s := b.settlementOf("not-told"); s.ToRevoked < latency || s.ToRevoked > s.Age {
		t.Errorf("%s of an event that is %s old", s.ToRevoked, s.Age)
	}
}

// It ends with the answer that revoked the session, though the event comes later: the consumer is full of failing ones.
func TestTheTimeToRevokedEndsWithTheAnswer(t *testing.T) {
	t.Parallel()
	var works atomic.Bool
	b := newBench(t, sim.Options{Latency: 5 * time.Millisecond, Rule: func(id string, _ int) sim.Answer {
		if id == "good" || works.Load() {
			return sim.Answer{}
		}
		return sim.Answer{Kind: sim.ServerError}
	}})
	b.cfg.Concurrency, b.cfg.MaxAckPending, b.cfg.BreakerFailures = 2, 2, 10_000
	b.setup()
	published := time.Now()
	b.publishSession("failing-1", "failing-2", "good")
	b.start()
	b.waitFor("the call behind the full consumer", func() bool { return b.worker.Counts().Bypassed == 1 })
	answered, calls := time.Now(), b.api.Calls()
	b.waitFor("further calls", func() bool { return b.api.Calls() >= calls+2 })
	between := time.Since(answered)
	works.Store(true)
	if s, age := b.settlementOf("good"), time.Since(published); s.ToRevoked <= 0 || s.ToRevoked > age-between {
		t.Errorf("%s of an event that is %s old, and was revoked %s before it was delivered", s.ToRevoked, age, between)
	}
}

package worker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events"
	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// publishBulk stores sessions in the bulk lane.
func (b *bench) publishBulk(ids ...string) {
	b.t.Helper()
	for _, id := range ids {
		msg := &nats.Msg{Subject: b.cfg.BulkSubject, Data: events.Event{SessionID: events.SessionID(id)}.Encode()}
		if _, err := b.js.PublishMsg(b.deadline(), msg); err != nil {
			b.t.Fatal(err)
		}
	}
}

// allRevoked waits for all of the sessions.
func (b *bench) allRevoked(ids []string) {
	b.t.Helper()
	b.waitFor("revocations", func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return !b.revoked(id) })
	})
}

// all lists the settlements.
func (b *bench) all() []worker.Settlement {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.settled)
}

// A live event waits for no bulk ones, new or due again, though these have all slots.
func TestLiveEventsOvertakeBulkOnes(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Latency: 20 * time.Millisecond, Rule: func(id string, attempt int) sim.Answer {
		if id[:4] == "bulk" && attempt == 1 && id[len(id)-1] == '7' {
			return sim.Answer{Kind: sim.ServerError}
		}
		return sim.Answer{}
	}})
	b.cfg.Concurrency = 8
	b.setup()
	bulk := sessions("bulk", 1500)
	b.publishBulk(bulk...)
	b.start()
	var published []time.Time
	live := sessions("live", 5)
	for i, id := range live {
		b.waitFor("bulk calls", func() bool { return b.api.Calls() >= 150*(i+1) })
		b.publishSession(id)
		published = append(published, time.Now()) // once it is stored: until then it waits for nobody
	}
	b.allRevoked(append(live, bulk...))
	calls := b.callsInOrder()
	for i, id := range live {
		call, overtaken := b.api.Session(id).Calls[0].Began, 0
		for _, other := range calls {
			if other.Began.After(published[i]) && other.Began.Before(call) {
				overtaken++
			}
		}
		if overtaken > 300 { // on the slowest of machines; it is some ten here
			t.Errorf("%s was called after %d bulk events that waited behind it", id, overtaken)
		}
	}
	b.waitFor("a retry of a failing one", func() bool { return len(b.outcomes("bulk-SECRET-session-0007")) >= 2 })
}

// However much both lanes want, no more calls than the bound are in flight together.
func TestBothLanesKeepTheBound(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Latency: 2 * time.Millisecond})
	b.cfg.Concurrency = 4
	b.setup()
	live, bulk := sessions("live", 300), sessions("bulk", 300)
	b.publishBulk(bulk...)
	b.publishSession(live...)
	b.start()
	b.allRevoked(append(live, bulk...))
	calls := b.callsInOrder()
	for i, c := range calls {
		inFlight := 1
		for _, before := range calls[:i] {
			if before.Ended.After(c.Began) {
				inFlight++
			}
		}
		if inFlight > b.cfg.Concurrency {
			t.Fatalf("%d calls in flight", inFlight)
		}
	}
	for _, id := range []string{live[0], bulk[0]} {
		if n := len(b.api.Session(id).Calls); n != 1 {
			t.Errorf("%s: %d calls", id, n)
		}
	}
}

// If all sessions of one lane fail, the other lane tells that the API works.
func TestTheOtherLaneIsAskedForAnOpinion(t *testing.T) {
	t.Parallel()
	for _, failing := range []config.Lane{config.Live, config.Bulk} {
		t.Run(string(failing), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sim.Options{Rule: func(id string, _ int) sim.Answer {
				if id[:4] == "fail" {
					return sim.Answer{Kind: sim.ServerError}
				}
				return sim.Answer{}
			}})
			b.setup()
			ids := sessions("fail", 60)
			if failing == config.Live {
				b.publishBulk("good")
				b.publishSession(ids...)
			} else {
				b.publishSession("good")
				b.publishBulk(ids...)
			}
			b.start()
			b.waitFor("three calls of each", func() bool {
				return !slices.ContainsFunc(ids, func(id string) bool { return len(b.api.Session(id).Calls) < 3 })
			})
			// A look at the newest event of the other lane ends after two seconds. On a machine that stands still it may be missing.
			if b.log.count("circuit breaker opened") > 0 && b.log.count("the newest event can't be asked about") == 0 {
				t.Errorf("the breaker opened:\n%s", b.log)
			}
			if c := b.worker.Counts(); c.OpinionsWorking == 0 {
				t.Errorf("no opinion was asked for: %+v", c)
			}
		})
	}
}

// The settlements of a worker tell the lane and how long revocations took, and its state what limits its calls.
func TestALaneCanBeSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{Latency: time.Millisecond})
	b.setup()
	live, bulk := sessions("live", 20), sessions("bulk", 10)
	b.publishBulk(bulk...)
	b.publishSession(live...)
	b.start()
	b.allRevoked(append(live, bulk...))
	b.waitFor("settlements", func() bool { return b.settlements() == 30 })
	count := map[config.Lane]int{}
	for _, s := range b.all() {
		if count[s.Lane]++; s.ToRevoked <= 0 {
			t.Errorf("revoked after %s", s.ToRevoked)
		}
	}
	if count[config.Live] != 20 || count[config.Bulk] != 10 {
		t.Errorf("settlements: %v", count)
	}
	state := b.worker.State()
	if state.Limit < 1 || state.LimitedBy == "" {
		t.Errorf("limit %d, limited by %q", state.Limit, state.LimitedBy)
	}
	if fmt.Sprint(state.Rate) != "0" {
		t.Errorf("rate %v", state.Rate)
	}
}

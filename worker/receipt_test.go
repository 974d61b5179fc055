package worker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// withReceipts is a bench whose workers publish receipts.
func withReceipts(t *testing.T, options sim.Options) *bench {
	t.Helper()
	b := newBench(t, options)
	b.cfg.Receipts = true
	return b
}

// receipt is the last one of a session, whose service is the configured one; nil for none.
func (b *bench) receipt(id string) *events.ReceiptFacts {
	b.t.Helper()
	stream, err := b.js.Stream(b.deadline(), b.cfg.ReceiptStream)
	if err != nil {
		b.t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(b.deadline(), events.ReceiptSubject(b.cfg, events.SessionHash(testService, events.SessionID(id))))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	var event struct{ Data events.ReceiptFacts }
	if err := errors.Join(err, json.Unmarshal(msg.Data, &event)); err != nil {
		b.t.Fatal(err)
	}
	return &event.Data
}

// became lists what became of the receipts of a session's settlements.
func (b *bench) became(id string) (list []worker.Receipt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.settled {
		if s.Session == events.SessionID(id) {
			list = append(list, s.Receipt)
		}
	}
	return list
}

// silence replaces the receipt stream by a subscriber that confirms only what the test lets it. The stream is there, and stores
// something else.
func (b *bench) silence() *silent {
	b.t.Helper()
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "OTHER", Subjects: []string{"other"}},
		{Name: b.cfg.ReceiptStream, Sources: []*jetstream.StreamSource{{Name: "OTHER"}}, MaxMsgsPerSubject: 1},
	} {
		if _, err := b.js.CreateStream(b.deadline(), cfg); err != nil {
			b.t.Fatal(err)
		}
	}
	s := &silent{stream: b.cfg.ReceiptStream}
	if _, err := b.js.Conn().Subscribe(events.ReceiptSubject(b.cfg, "*"), s.take); err != nil {
		b.t.Fatal(err)
	}
	if err := b.js.Conn().Flush(); err != nil {
		b.t.Fatal(err)
	}
	return s
}

type silent struct {
	stream string

	mu       sync.Mutex
	speaks   bool
	receipts []*nats.Msg
}

func (s *silent) take(msg *nats.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receipts = append(s.receipts, msg)
	if s.speaks {
		s.confirm(msg)
	}
}

func (s *silent) confirm(msg *nats.Msg) {
	_ = msg.Respond(fmt.Appendf(nil, `{"stream":%q,"seq":1}`, s.stream))
}

// speak confirms what came and what comes.
func (s *silent) speak() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.speaks = true
	for _, msg := range s.receipts {
		s.confirm(msg)
	}
}

// count is of how many sessions there are receipts. Those that are not confirmed for long are published again.
func (s *silent) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	subjects := map[string]bool{}
	for _, msg := range s.receipts {
		subjects[msg.Subject] = true
	}
	return len(subjects)
}

func TestEachRevocationHasItsReceipt(t *testing.T) {
	t.Parallel()
	b := withReceipts(t, sim.Options{Tokens: 2, Rule: func(id string, attempt int) sim.Answer {
		if strings.HasPrefix(id, "late") && attempt == 1 {
			return sim.Answer{Kind: sim.ServerError}
		}
		return sim.Answer{}
	}})
	b.start()
	ids := append(sessions("s", 20), sessions("late", 5)...)
	b.publishSession(ids...)
	b.waitDone()
	for _, id := range ids {
		r := b.receipt(id)
		if r == nil {
			t.Fatalf("%s has none", id)
		}
		want := 1
		if strings.HasPrefix(id, "late") {
			want = 2
		}
		if r.TokensDeleted != 2 || r.Attempts != want || r.ServiceID != testService || r.Lane != "live" || r.Stream != "SESSIONS" || r.Sequence == 0 {
			t.Errorf("%s: %+v", id, r)
		}
	}
}

// The second event of a session deletes nothing. The first one's receipt stays.
func TestARepeatedCallKeepsTheReceipt(t *testing.T) {
	t.Parallel()
	b := withReceipts(t, sim.Options{Tokens: 3})
	b.start()
	b.publishSession("twice")
	b.waitDone()
	first := b.receipt("twice")
	b.publishSession("twice")
	b.waitDone()
	b.waitFor("both settlements", func() bool { return len(b.became("twice")) == 2 })
	if second := b.receipt("twice"); first == nil || second.TokensDeleted != 3 || second.Sequence != first.Sequence {
		t.Errorf("%+v, then %+v", first, second)
	}
	if got := b.became("twice"); !slices.Equal(got, []worker.Receipt{worker.ReceiptStored, worker.ReceiptKept}) {
		t.Errorf("%v", got)
	}
}

// Without a stream that stores receipts no event is acknowledged and none is lost, and each session is revoked by one call. Once there is one,
// the receipts tell of that call.
func TestAReceiptThatCannotBePublishedKeepsItsEvent(t *testing.T) {
	t.Parallel()
	b := withReceipts(t, sim.Options{Tokens: 2})
	b.start()
	hear := b.deafen(b.cfg.ReceiptStream)
	ids := sessions("s", 30)
	b.publishSession(ids...)
	b.waitFor("several tries of each", func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return len(b.outcomes(id)) < 2 })
	})
	if info := b.info(); info.NumAckPending != len(ids) {
		t.Errorf("%d events are not settled, want %d", info.NumAckPending, len(ids))
	}
	hear()
	b.waitDone()
	for _, id := range ids {
		if r := b.receipt(id); r == nil || r.TokensDeleted != 2 || r.Attempts != 1 {
			t.Errorf("%s: %+v", id, r)
		}
		if calls := len(b.api.Session(id).Calls); calls != 1 {
			t.Errorf("%s: %d calls", id, calls)
		}
	}
	if len(b.letters()) != 0 || strings.Contains(b.log.String(), "SECRET-session") {
		t.Errorf("dead letters, or an ID in the log:\n%s", b.log)
	}
}

// A stream that confirms nothing for a while holds no slot: all calls are made, by one slot. Nothing is acknowledged meanwhile, nothing
// delivered twice, and a drain waits.
func TestASlowReceiptHoldsNoSlot(t *testing.T) {
	t.Parallel()
	b := withReceipts(t, sim.Options{Tokens: 1})
	b.cfg.Concurrency, b.cfg.AckWait = 1, 6*time.Second // a renewal may come some seconds late
	receipts := b.silence()
	stop := b.start()
	ids := sessions("s", 40)
	b.publishSession(ids...)
	b.waitFor("all calls and receipts", func() bool { return b.api.Calls() == len(ids) && receipts.count() == len(ids) })
	began := time.Now()
	b.waitFor("more than the ack wait", func() bool { return time.Since(began) > b.cfg.AckWait+time.Second })
	if info := b.info(); info.NumAckPending != len(ids) || info.NumRedelivered != 0 {
		t.Errorf("%d events are not settled, %d were delivered again", info.NumAckPending, info.NumRedelivered)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	b.waitFor("the end of all pulls", func() bool { return b.log.count("draining") > 0 && b.info().NumWaiting == 0 })
	began = time.Now()
	b.waitFor("more than a drain without receipts takes", func() bool { return time.Since(began) > 500*time.Millisecond })
	// On a slow machine the receipts may have been given up by now, and their events handed back.
	if b.log.count("drained") > 0 && b.worker.State().InHand > 0 {
		t.Error("the drain did not wait for the receipts")
	}
	receipts.speak()
	<-stopped
	b.start() // on a slow machine some receipts were given up, and their events handed back
	b.waitDone()
}

// A session that was revoked behind a full consumer gets its receipt when its event is delivered. The receipt tells of the call that
// was made before.
func TestAnEarlyRevocationHasItsReceipt(t *testing.T) {
	t.Parallel()
	var repaired atomic.Bool
	b := withReceipts(t, sim.Options{Services: []string{"77"}, Tokens: 1, Rule: func(id string, _ int) sim.Answer {
		if strings.HasPrefix(id, "foreign") && !repaired.Load() {
			return sim.Answer{Kind: sim.Forbidden}
		}
		return sim.Answer{}
	}})
	b.cfg.API.AllowedServiceIDs = []string{"77"}
	b.cfg.MaxAckPending = 100
	b.setup()
	for _, id := range sessions("foreign", 200) {
		b.publishEvent(id, "77")
	}
	b.publishSession("healthy")
	b.start()
	b.waitFor("revocation of the healthy one", func() bool { return b.worker.Counts().Bypassed == 1 }) // and it is remembered
	revoked := time.Now()
	if n := len(b.outcomes("healthy")); n != 0 || b.receipt("healthy") != nil {
		t.Fatal("the healthy one was delivered: the consumer was not full")
	}
	b.waitFor("another moment", func() bool { return time.Since(revoked) > 300*time.Millisecond })
	repair := time.Now()
	repaired.Store(true)
	b.waitDone()
	r := b.receipt("healthy")
	if r == nil || r.TokensDeleted != 1 || len(b.api.Session("healthy").Calls) != 1 {
		t.Fatalf("%+v", r)
	}
	if at := r.PublishedAt.Add(time.Duration(r.SincePublished) * time.Millisecond); at.After(repair) {
		t.Errorf("the receipt says %s, which is when the event was delivered and not when its session was revoked, before %s", at, repair)
	}
}

package sessions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/events/peer"
	"revoker/events/sessions"
	"revoker/internal/testproc"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

const service = "1234"

// site is a server with all streams, and the live lane's consumer.
type site struct {
	*eventstest.Harness
	t        *testing.T
	consumer *events.Consumer
	letters  *events.DeadLetters
	receipts *events.Receipts
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Harness: eventstest.New(t), t: t}
	s.Cfg.Receipts = true
	s.KeepInHand()
	s.consumer, s.letters = s.Ensure(t)
	var err error
	if s.receipts, err = events.NewReceipts(s.Conn, s.Cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

// deliver publishes an event of a session, and pulls it.
func (s *site) deliver(id events.SessionID) *events.Delivery {
	s.t.Helper()
	s.Publish(s.t, &nats.Msg{Data: events.Event{SessionID: id}.Encode()})
	return s.Next(s.t, s.consumer)
}

// revoke settles an event with a receipt.
func (s *site) revoke(id events.SessionID, tokens int) {
	s.t.Helper()
	d := s.deliver(id)
	done := make(chan error, 1)
	s.receipts.Publish(d, events.Receipt{Event: events.Event{SessionID: id, ServiceID: service}, RevokedAt: time.Now(), Tokens: tokens, Attempts: 1},
		func(_ bool, err error) { done <- err })
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
	d.Ack()
	s.flush()
}

// queue publishes an event to a lane.
func (s *site) queue(lane config.Lane, event events.Event) {
	s.t.Helper()
	s.Publish(s.t, &nats.Msg{Subject: s.Cfg.In(lane).Subject, Data: event.Encode()})
	s.pending(lane)
}

// pending waits until the lane's consumer knows of an event that waits. What the server says of that lags behind the stream.
func (s *site) pending(lane config.Lane) {
	s.t.Helper()
	own := s.Cfg.In(lane)
	testproc.WaitFor(s.t, "event that waits", func() bool {
		consumer, err := s.JS.Consumer(eventstest.Deadline(s.t), own.Stream, own.Consumer)
		if err != nil {
			s.t.Fatal(err)
		}
		return consumer.CachedInfo().NumPending > 0
	})
}

func (s *site) bury(id events.SessionID, reason string) {
	s.t.Helper()
	d := s.deliver(id)
	if err := s.letters.Publish(eventstest.Deadline(s.t), d, events.Letter{Reason: reason, ResultCode: "A1", SessionID: id}); err != nil {
		s.t.Fatal(err)
	}
	d.Term(reason)
	s.flush()
}

func (s *site) flush() {
	s.t.Helper()
	if err := s.Conn.Flush(eventstest.Timeout); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) find(key sessions.Key, options sessions.Options) sessions.Answer {
	s.t.Helper()
	if options.Scan == 0 {
		options.Scan = eventstest.Timeout
	}
	answer, err := sessions.Find(eventstest.Deadline(s.t), s.Conn, s.Cfg, key, options)
	if err != nil {
		s.t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v", answer); strings.Contains(text, "SECRET") {
		s.t.Errorf("a session ID is in %s", text)
	}
	return answer
}

func byID(id events.SessionID) sessions.Key { return sessions.ByID(id, service, service) }

func TestWhatBecameOfASession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*site)
		all     bool
		want    sessions.State
		check   func(sessions.Answer) bool
	}{
		"revoked": {func(s *site) { s.revoke("SECRET-s", 2) }, false, sessions.Revoked, func(a sessions.Answer) bool {
			return a.Receipt.TokensDeleted == 2 && a.Receipt.Attempts == 1 && a.Events == nil && len(a.Unknown) == 0
		}},
		"queued": {func(s *site) {
			s.revoke("other", 1)
			s.queue(config.Live, events.Event{SessionID: "SECRET-s"})
		}, false, sessions.Queued, func(a sessions.Answer) bool { return a.Event.Sequence == 2 && a.Event.Lane == "live" }},
		"of another service": {func(s *site) {
			s.queue(config.Live, events.Event{SessionID: "SECRET-s", ServiceID: "77"})
		}, false, sessions.NotFound, func(a sessions.Answer) bool { return a.Events.At == 1 && a.Events.Of == 1 }},
		"with the service's name": {func(s *site) {
			s.queue(config.Live, events.Event{SessionID: "SECRET-s", ServiceID: service})
		}, false, sessions.Queued, func(sessions.Answer) bool { return true }},
		"in the bulk lane": {func(s *site) {
			s.queue(config.Bulk, events.Event{SessionID: "SECRET-s"})
		}, false, sessions.Queued, func(a sessions.Answer) bool { return a.Event.Lane == "bulk" }},
		"delivered": {func(s *site) { s.deliver("SECRET-s") }, false, sessions.Delivered, func(a sessions.Answer) bool { return a.Event.Next == nil }},
		"waiting": {func(s *site) {
			s.deliver("SECRET-s")
			s.answer("SECRET-s", peer.NextAttempt{Attempts: 2, Due: time.Now().Add(time.Hour), Status: 500})
		}, false, sessions.Waiting, func(a sessions.Answer) bool { return a.Event.Next.Attempts == 2 && a.Event.Next.Status == 500 }},
		"a dead letter": {func(s *site) {
			s.bury("other", events.ReasonInvalidEvent)
			s.bury("SECRET-s", events.ReasonCallerError)
		}, false, sessions.DeadLetter, func(a sessions.Answer) bool {
			l := a.DeadLetters
			return len(l) == 1 && l[0].Sequence == 2 && l[0].Reason == "CALLER_ERROR" && l[0].ResultCode == "A1" && a.Letters.At == 2
		}},
		"a dead letter, behind one in work": {func(s *site) {
			s.deliver("other") // keeps the ack floor below
			s.bury("SECRET-s", events.ReasonCallerError)
		}, false, sessions.DeadLetter, func(a sessions.Answer) bool { return a.Event == nil }},
		"a dead letter that was published again": {func(s *site) {
			s.bury("SECRET-s", events.ReasonCallerError)
			s.queue(config.Live, events.Event{SessionID: "SECRET-s"})
		}, false, sessions.Queued, func(a sessions.Answer) bool { return len(a.DeadLetters) == 1 }},
		"a receipt after a dead letter": {func(s *site) {
			s.bury("SECRET-s", events.ReasonCallerError)
			s.revoke("SECRET-s", 2)
		}, true, sessions.Revoked, func(a sessions.Answer) bool { return len(a.DeadLetters) == 1 }},
		"a dead letter after a receipt": {func(s *site) {
			s.revoke("SECRET-s", 2)
			s.bury("SECRET-s", events.ReasonCallerError)
		}, true, sessions.DeadLetter, func(a sessions.Answer) bool { return a.Receipt != nil }},
		"a receipt, behind one in work": {func(s *site) {
			s.deliver("other")
			s.revoke("SECRET-s", 2)
		}, true, sessions.Revoked, func(a sessions.Answer) bool { return a.Event == nil }},
		"nothing": {func(s *site) { s.revoke("other", 1) }, false, sessions.NotFound, func(a sessions.Answer) bool {
			return a.OldestReceipt != nil && time.Since(*a.OldestReceipt) < eventstest.Timeout && a.Events.Whole() && a.Letters.Whole()
		}},
		"nothing at all": {func(*site) {}, false, sessions.NotFound, func(a sessions.Answer) bool { return a.OldestReceipt == nil && len(a.Unknown) == 0 }},
		"without receipts": {func(s *site) {
			if err := s.JS.DeleteStream(eventstest.Deadline(s.t), s.Cfg.ReceiptStream); err != nil {
				s.t.Fatal(err)
			}
		}, false, sessions.NotFound, func(a sessions.Answer) bool {
			return len(a.Unknown) == 1 && strings.Contains(a.Unknown[0], "REVOKER_RECEIPTS=true")
		}},
		"what is no receipt": {func(s *site) {
			s.Publish(s.t, &nats.Msg{Subject: events.ReceiptSubject(s.Cfg, byID("SECRET-s").Hash()), Data: []byte(`{"SECRET":1}`)})
		}, false, sessions.NotFound, func(a sessions.Answer) bool {
			return len(a.Unknown) == 1 && strings.Contains(a.Unknown[0], "is not a receipt")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			c.prepare(s)
			hash, err := sessions.ByHash(strings.ToUpper(byID("SECRET-s").Hash()), service)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []sessions.Key{byID("SECRET-s"), hash} {
				a := s.find(key, sessions.Options{All: c.all})
				if c.want == sessions.Waiting { // a worker's answer may come too late
					testproc.WaitFor(t, "worker's answer", func() bool {
						a = s.find(key, sessions.Options{All: c.all})
						return a.State != sessions.Delivered
					})
				}
				if a.State != c.want || !c.check(a) {
					t.Errorf("%+v, want %s", a, c.want)
				}
			}
		})
	}
}

// answer lets a worker know of the session's next attempt.
func (s *site) answer(id events.SessionID, next peer.NextAttempt) {
	s.t.Helper()
	c := s.Connect(s.t, false)
	peer.Answer(c, s.Cfg, peer.Answerer{
		State: func() peer.State { return peer.State{Name: "one", Breaker: "closed"} },
		About: func(_ uint64, mask string) *peer.NextAttempt {
			if mask != id.Mask() {
				return nil
			}
			return &next
		},
	})
	if err := c.NC().Flush(); err != nil {
		s.t.Fatal(err)
	}
}

// A search that has no time left says what it did not see.
func TestASearchIsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const n = 2000
	for i := range n {
		s.Publish(t, &nats.Msg{Data: events.Event{SessionID: events.SessionID(fmt.Sprint("s", i))}.Encode()})
	}
	s.pending(config.Live)
	a := s.find(byID("SECRET-s"), sessions.Options{Scan: time.Millisecond})
	if a.State != sessions.NotFound || a.Events.Whole() && a.Letters.Whole() || len(a.Unknown) != 0 {
		t.Errorf("%+v", a)
	}
	// A request whose answer comes too late ends a search, and is named.
	testproc.WaitFor(t, "search of which nothing is unknown", func() bool {
		a = s.find(byID("SECRET-s"), sessions.Options{})
		return len(a.Unknown) == 0
	})
	if a.Events.At != n || a.Events.Of != n {
		t.Errorf("%+v", a.Events)
	}
	// From both ends: the first and the last are found long before the middle, unless who looks at them is held up.
	for _, id := range []events.SessionID{"s0", "s1999"} {
		testproc.WaitFor(t, fmt.Sprintf("%s before the middle", id), func() bool {
			a := s.find(byID(id), sessions.Options{})
			if a.State != sessions.Queued {
				t.Errorf("%s: %+v %+v", id, a, a.Events)
			}
			return a.Events.At <= n/2
		})
	}
}

// What an account may not read is named, and the rest is answered. With nothing at all there is an error.
func TestWhatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.bury("SECRET-s", events.ReasonCallerError)
	for _, stream := range []string{s.Cfg.Stream, s.Cfg.ReceiptStream} {
		if err := s.JS.DeleteStream(eventstest.Deadline(t), stream); err != nil {
			t.Fatal(err)
		}
	}
	if a := s.find(byID("SECRET-s"), sessions.Options{}); a.State != sessions.DeadLetter || len(a.Unknown) != 2 {
		t.Errorf("%+v", a)
	}
	if err := s.JS.DeleteStream(eventstest.Deadline(t), s.Cfg.DeadLetterStream); err != nil {
		t.Fatal(err)
	}
	if a, err := sessions.Find(eventstest.Deadline(t), s.Conn, s.Cfg, byID("SECRET-s"), sessions.Options{Scan: time.Second}); err == nil {
		t.Errorf("%+v", a)
	}
}

// A work queue keeps nothing that is settled, and takes no second consumer.
func TestAWorkQueueCanBeSearched(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	h.CreateStream(t, jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}, Retention: jetstream.WorkQueuePolicy})
	h.Cfg.Retention, h.Cfg.BulkSubject, h.Cfg.Receipts = "workqueue", "", true
	h.KeepInHand()
	s := &site{Harness: h, t: t}
	s.consumer, s.letters = s.Ensure(t)
	s.deliver("first")
	for i := range 10 {
		d := s.deliver(events.SessionID(fmt.Sprint("settled", i)))
		d.Ack()
	}
	s.flush()
	s.Publish(t, &nats.Msg{Data: events.Event{SessionID: "SECRET-s"}.Encode()})
	if a := s.find(byID("SECRET-s"), sessions.Options{}); a.State != sessions.Queued || len(a.Unknown) != 0 {
		t.Errorf("%+v", a)
	}
	if a := s.find(byID("nobody"), sessions.Options{}); a.State != sessions.NotFound || a.Events.At != 12 {
		t.Errorf("%+v", a)
	}
}

func TestHashes(t *testing.T) {
	t.Parallel()
	whole := events.Event{SessionID: "s", ServiceID: service}.MessageID(config.Live)
	for hash, ok := range map[string]bool{whole: true, whole[:32]: true, whole[:31]: false, "": false, strings.Repeat("g", 32): false, whole[:40]: false} {
		if key, err := sessions.ByHash(hash, service); (err == nil) != ok || ok && key != byID("s") {
			t.Errorf("%q: %v", hash, err)
		}
	}
}

package events_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

// withReceipts has the receipt stream, and what publishes to it.
func withReceipts(t testing.TB) (*harness, *events.Consumer, *events.Receipts) {
	t.Helper()
	h := newHarness(t)
	h.Cfg.Receipts = true
	h.KeepInHand()
	consumer, _ := h.Ensure(t)
	return h, consumer, h.receipts(t)
}

func (h *harness) receipts(t testing.TB) *events.Receipts {
	t.Helper()
	receipts, err := events.NewReceipts(h.Conn, h.Cfg)
	if err != nil {
		t.Fatal(err)
	}
	return receipts
}

// deliver publishes an event and pulls it.
func (h *harness) deliver(t testing.TB, consumer *events.Consumer, event events.Event) *events.Delivery {
	t.Helper()
	h.Publish(t, &nats.Msg{Data: event.Encode(), Header: nats.Header{"Session-Source": {"login"}}})
	return h.Next(t, consumer)
}

type published struct {
	kept bool
	err  error
}

func publish(t testing.TB, r *events.Receipts, d *events.Delivery, receipt events.Receipt) published {
	t.Helper()
	done := make(chan published, 2)
	r.Publish(d, receipt, func(kept bool, err error) { done <- published{kept, err} })
	select {
	case p := <-done:
		return p
	case <-time.After(eventstest.Timeout):
		t.Fatal("nothing was said of the receipt")
		return published{}
	}
}

func (h *harness) stored(t testing.TB, subject string) *jetstream.RawStreamMsg {
	t.Helper()
	stream, err := h.JS.Stream(eventstest.Deadline(t), h.Cfg.ReceiptStream)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(eventstest.Deadline(t), subject)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestAReceiptIsACloudEventWithTheFacts(t *testing.T) {
	t.Parallel()
	h, consumer, receipts := withReceipts(t)
	id := events.SessionID("long-session-id")
	event := events.Event{SessionID: id, ServiceID: "77", EndedAt: time.Now().Add(-3 * time.Second)}
	d := h.deliver(t, consumer, event)
	at := d.Published.Add(41 * time.Millisecond)
	if p := publish(t, receipts, d, events.Receipt{Event: event, RevokedAt: at, Tokens: 2, ResultCode: "A503001 long-session-id", Attempts: 3}); p != (published{}) {
		t.Fatal(p)
	}
	const hash = "5f3895cb522093815fbaee32fe1551a5" // printf '77\0long-session-id' | sha256sum | cut -c-32
	msg := h.stored(t, "session.revoked."+hash)
	var got cloudevents.Event
	if err := json.Unmarshal(msg.Data, &got); err != nil {
		t.Fatal(err)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if got.Type() != "session.revoked" || got.Subject() != hash || got.SpecVersion() != "1.0" || !got.Time().Equal(at) || got.DataContentType() != "application/json" ||
		got.ID() != fmt.Sprintf("SESSIONS/1/%d", d.Published.UnixNano()) || msg.Header.Get("Content-Type") != "application/cloudevents+json" {
		t.Errorf("%s\n%v", got, msg.Header)
	}
	var facts map[string]any
	if err := json.Unmarshal(got.Data(), &facts); err != nil {
		t.Fatal(err)
	}
	since := facts["msSinceEnded"].(float64)
	delete(facts, "msSinceEnded")
	want := map[string]any{
		"serviceId": "77", "tokensDeleted": 2., "resultCode": "A503001 session:" + id.Mask(), "attempts": 3., "msSincePublished": 41., "source": "login",
		"lane": "live", "stream": "SESSIONS", "sequence": 1., "publishedAt": d.Published.UTC().Format(time.RFC3339Nano),
	}
	if fmt.Sprint(facts) != fmt.Sprint(want) || since < 3000 || since > 3000+eventstest.Timeout.Seconds()*1000 {
		t.Errorf("%v ms since the end, and\n%v, want\n%v", since, facts, want)
	}
	if strings.Contains(string(msg.Data), string(id)) {
		t.Errorf("the session ID is in %s", msg.Data)
	}
}

// An end that can't be true is left out.
func TestAReceiptTellsOnlyOfAPlausibleEnd(t *testing.T) {
	t.Parallel()
	h, consumer, receipts := withReceipts(t)
	for name, ended := range map[string]time.Time{
		"absent": {}, "in the future": time.Now().Add(24 * time.Hour), "long ago": time.Now().Add(-25 * time.Hour),
		"after its publication": time.Now().Add(time.Hour), // and no longer in the future when it is revoked
	} {
		event := events.Event{SessionID: events.SessionID(name), EndedAt: ended}
		d := h.deliver(t, consumer, event)
		if p := publish(t, receipts, d, events.Receipt{Event: event, RevokedAt: time.Now().Add(2 * time.Hour), Tokens: 1}); p.err != nil {
			t.Fatal(p.err)
		}
		msg := h.stored(t, events.ReceiptSubject(h.Cfg, events.SessionHash("", event.SessionID)))
		if strings.Contains(string(msg.Data), "msSinceEnded") {
			t.Errorf("%s: %s", name, msg.Data)
		}
	}
}

// A call that deleted nothing leaves the receipt of one that did. One that deleted something replaces any.
func TestWhichReceiptStays(t *testing.T) {
	t.Parallel()
	h, consumer, receipts := withReceipts(t)
	event := events.Event{SessionID: "s"}
	for i, c := range []struct {
		tokens int
		kept   bool
		stays  int
	}{{0, false, 0}, {0, true, 0}, {2, false, 2}, {0, true, 2}, {1, false, 1}} {
		d := h.deliver(t, consumer, event)
		if p := publish(t, receipts, d, events.Receipt{Event: event, RevokedAt: time.Now(), Tokens: c.tokens}); p != (published{kept: c.kept}) {
			t.Errorf("call %d: %+v, want %+v", i, p, c)
		}
		msg := h.stored(t, events.ReceiptSubject(h.Cfg, events.SessionHash("", "s")))
		if !strings.Contains(string(msg.Data), fmt.Sprintf(`"tokensDeleted":%d,`, c.stays)) {
			t.Errorf("call %d: %s, want %+v", i, msg.Data, c)
		}
	}
	stream, err := h.JS.Stream(eventstest.Deadline(t), h.Cfg.ReceiptStream)
	if err != nil || stream.CachedInfo().State.Msgs != 1 {
		t.Errorf("%v, %+v", err, stream.CachedInfo().State)
	}
}

// A full stream drops its oldest receipt. It does not refuse one, which would stop everything.
func TestAFullReceiptStreamTakesReceipts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Cfg.Receipts, h.Cfg.ReceiptMaxCount = true, 3
	h.KeepInHand()
	consumer, _ := h.Ensure(t)
	receipts := h.receipts(t)
	for i := range 5 {
		event := events.Event{SessionID: events.SessionID(fmt.Sprint("s", i))}
		if p := publish(t, receipts, h.deliver(t, consumer, event), events.Receipt{Event: event, RevokedAt: time.Now(), Tokens: i}); p != (published{}) {
			t.Errorf("%d: %+v", i, p)
		}
	}
	stream, err := h.JS.Stream(eventstest.Deadline(t), h.Cfg.ReceiptStream)
	if err != nil || stream.CachedInfo().State.Msgs != 3 || stream.CachedInfo().State.FirstSeq != 3 {
		t.Errorf("%v, %+v", err, stream.CachedInfo().State)
	}
}

// What can't be stored is said soon, with what to do.
func TestAReceiptThatIsNotStoredSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*harness)
		want    string
	}{
		"no stream": {func(h *harness) {}, "`revoker setup` creates it"},
		"another stream": {func(h *harness) {
			h.CreateStream(t, jetstream.StreamConfig{Name: "ALL", Subjects: []string{"session.revoked.*"}})
		}, "REVOKER_RECEIPT_STREAM"},
		"a full one that refuses": {func(h *harness) {
			h.CreateStream(t, jetstream.StreamConfig{Name: "SESSIONS_REVOKED", Subjects: []string{"session.revoked.*"}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
			h.Publish(t, &nats.Msg{Subject: "session.revoked.x"})
		}, "maximum messages exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			consumer, _ := h.Ensure(t)
			c.prepare(h)
			event := events.Event{SessionID: "s"}
			p := publish(t, h.receipts(t), h.deliver(t, consumer, event), events.Receipt{Event: event, Tokens: 1})
			if p.err == nil || !strings.Contains(p.err.Error(), c.want) {
				t.Errorf("%v, want %q", p.err, c.want)
			}
		})
	}
}

// An account that may not publish receipts is told so, long before the confirmation would be given up, and the log is not filled
// with a line for each session.
func TestAReceiptThatTheAccountMayNotPublishFailsAtOnce(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"session.revoked.>"}},
	}})
	h := unconnected()
	h.Cfg.NATS, h.Cfg.Receipts = eventstest.As(s, "worker"), true
	h.Conn = h.Connect(t, true)
	h.Dial(t, s.ClientURL(), nats.UserInfo("worker", "pw"))
	h.KeepInHand()
	consumer, _ := h.Ensure(t)
	receipts := h.receipts(t)
	for i := range 3 {
		event := events.Event{SessionID: events.SessionID(fmt.Sprint("s", i))}
		p := publish(t, receipts, h.deliver(t, consumer, event), events.Receipt{Event: event, Tokens: 1})
		if p.err == nil || !strings.Contains(p.err.Error(), "permissions do not allow it") {
			t.Errorf("%v", p.err)
		}
	}
	if text := strings.Join(h.Log.Lines(), "\n"); strings.Contains(text, "Violation") {
		t.Errorf("the log:\n%s", text)
	}
}

// More receipts than the window wait for no confirmation: the one that is too many fails at once, and the others later.
func TestReceiptsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, _ := h.Ensure(t)
	if _, err := h.NC.Subscribe("session.revoked.*", func(*nats.Msg) {}); err != nil { // it says nothing
		t.Fatal(err)
	}
	if err := h.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	event := events.Event{SessionID: "s"}
	d := h.deliver(t, consumer, event)
	receipts := h.receipts(t)
	const window = 4096
	// On a machine that pauses the first ones may have waited for 5 s before the last one is there.
	testproc.WaitFor(t, "receipt that is too many", func() (full bool) {
		done := make(chan error, window+1)
		for range window + 1 {
			receipts.Publish(d, events.Receipt{Event: event, Tokens: 1}, func(_ bool, err error) { done <- err })
		}
		if pending := receipts.Pending(); pending > window {
			t.Errorf("%d wait", pending)
		}
		refused := 0
		for i := range window + 1 {
			switch err := <-done; {
			case errors.Is(err, events.ErrReceiptsPending):
				full = full || i == 0
				if refused++; refused > 1 {
					t.Fatal("fewer than the window may wait")
				}
			case !errors.Is(err, jetstream.ErrAsyncPublishTimeout):
				t.Fatal(err)
			}
		}
		return full
	})
}

func TestThePlanForReceipts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Cfg.Receipts = true
	if plan := h.plan(t); plan.Creates() != 5 {
		t.Errorf("%+v", plan)
	}
	h.apply(t)
	h.clean(t)
	before := len(h.Log.Lines())
	h.Ensure(t)
	if said := h.Log.Lines()[before:]; len(said) != 0 {
		t.Errorf("`run` finds something: %q", said)
	}
}

func TestAPlanChangesTheReceiptStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*jetstream.StreamConfig)
		want    string
		refused int
	}{
		"discard":       {func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew }, "no event is acknowledged", 0},
		"subjects":      {func(c *jetstream.StreamConfig) { c.Subjects = []string{"other"} }, "it does not store session.revoked.*", 0},
		"max messages":  {func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }, "max messages are 10, not 1000000 (REVOKER_RECEIPT_MAX_COUNT)", 0},
		"max age":       {func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "max age is 1h0m0s, not 168h0m0s", 0},
		"several each":  {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = -1 }, "max messages per subject is unlimited, not 1", 1},
		"more generous": {func(c *jetstream.StreamConfig) { c.MaxAge, c.MaxMsgs = 0, -1 }, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.Cfg.Receipts = true
			stream := events.ReceiptStream(h.Cfg)
			c.change(&stream)
			h.CreateStream(t, stream)
			plan := h.plan(t)
			if text := fmt.Sprint(plan.Objects[2].Differences); !strings.Contains(text, c.want) || plan.Refused() != c.refused || (c.want == "") != (text == "[]") {
				t.Errorf("%s", text)
			}
			h.apply(t)
			if plan := h.plan(t); plan.Creates()+plan.Changes() != 0 {
				t.Errorf("%+v", plan.Objects)
			}
		})
	}
}

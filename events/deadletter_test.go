package events_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

func TestADeadLetterHasTheOriginalAndTheFacts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, letters := h.Ensure(t)
	payload := []byte("{\"sessionId\":\"long-session-id\"}\x00\xff")
	h.Publish(t, &nats.Msg{Data: payload, Header: nats.Header{
		"X-Trace": {"a", "b"}, "x-lower": {"kept"}, "Nats-Msg-Id": {"original-id"}, "Nats-Expected-Stream": {"SESSIONS"},
		"revoker-reason": {"FORGED"}, "Revoker-Stream-Sequence": {"999"}, "Revoker-Made-Up": {"x"},
	}})
	d := h.Next(t, consumer)
	before := time.Now()
	letter := events.Letter{
		Reason: events.ReasonCallerError, Error: "it is wrong:\r\nlong-session-id", HTTPStatus: 400, ResultCode: "A1",
		ResultMessage: "[A1] no long-session-id " + strings.Repeat("é", 1000), SessionID: "long-session-id",
	}
	if err := letters.Publish(eventstest.Deadline(t), d, letter); err != nil {
		t.Fatal(err)
	}
	got := h.Letter(t)
	if !bytes.Equal(got.Data, payload) {
		t.Errorf("payload %q", got.Data)
	}
	mask := "session:" + letter.SessionID.Mask()
	for name, want := range map[string]string{
		"X-Trace": "a,b", "x-lower": "kept", "Revoker-Reason": "CALLER_ERROR", "Revoker-Error": "it is wrong: " + mask,
		"Revoker-Http-Status": "400", "Revoker-Result-Code": "A1", "Revoker-Subject": "session.ended", "Revoker-Stream": "SESSIONS",
		"Revoker-Stream-Sequence": "1", "Revoker-Consumer": "revoker", "Revoker-Deliveries": "1", "Revoker-Msg-Id": "original-id",
		"Revoker-Published-At": d.Published.UTC().Format(time.RFC3339Nano), "Nats-Expected-Stream": "SESSIONS_DLQ",
		"revoker-reason": "", "Revoker-Made-Up": "", "Revoker-Payload-Omitted": "",
	} {
		if value := strings.Join(got.Header[name], ","); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
	message := got.Header.Get("Revoker-Result-Message")
	if len(message) > 1024 || !strings.HasPrefix(message, "[A1] no "+mask) || !strings.HasSuffix(message, "é…") {
		t.Errorf("result message of %d bytes: %q", len(message), message)
	}
	at, err := time.Parse(time.RFC3339, got.Header.Get("Revoker-Dead-Lettered-At"))
	if err != nil || at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("dead-lettered at %v, %v", at, err)
	}
}

// These headers of an event would be instructions to the server if they were copied.
func TestHostileHeadersDoNoHarm(t *testing.T) {
	t.Parallel()
	for name, hostile := range map[string]nats.Header{
		"an expected stream":   {"Nats-Expected-Stream": {"SESSIONS"}},
		"an expected sequence": {"Nats-Expected-Last-Sequence": {"0"}},
		"a rollup":             {"Nats-Rollup": {"all"}},
		"a TTL":                {"Nats-TTL": {"1h"}},
		"lower case":           {"nats-rollup": {"all"}, "NATS-TTL": {"1h"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			stream := jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}, AllowRollup: true, AllowMsgTTL: true}
			if _, err := h.JS.CreateStream(eventstest.Deadline(t), stream); err != nil {
				t.Fatal(err)
			}
			stream.Name, stream.Subjects = "SESSIONS_DLQ", []string{"dlq.session.ended"}
			if _, err := h.JS.CreateStream(eventstest.Deadline(t), stream); err != nil {
				t.Fatal(err)
			}
			consumer, letters := h.Ensure(t)
			earlier, err := h.JS.Publish(eventstest.Deadline(t), h.Cfg.DeadLetterSubject, []byte("an earlier dead letter"))
			if err != nil {
				t.Fatal(err)
			}
			h.Publish(t, &nats.Msg{Data: []byte("x"), Header: hostile})
			if err := letters.Publish(eventstest.Deadline(t), h.Next(t, consumer), events.Letter{Reason: events.ReasonInvalidEvent}); err != nil {
				t.Fatal(err)
			}
			dlq, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS_DLQ")
			if err != nil {
				t.Fatal(err)
			}
			if n := dlq.CachedInfo().State.Msgs; n != 2 {
				t.Fatalf("%d dead letters, want the earlier one and this", n)
			}
			msg, err := dlq.GetMsg(eventstest.Deadline(t), earlier.Sequence+1)
			if err != nil {
				t.Fatal(err)
			}
			for header := range hostile {
				if value := msg.Header.Get(header); value != "" && value != "SESSIONS_DLQ" {
					t.Errorf("the dead letter has %s: %s", header, value)
				}
			}
		})
	}
}

func TestASecondPublicationStoresNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, letters := h.Ensure(t)
	h.Publish(t, &nats.Msg{Data: []byte("x")})
	d := h.Next(t, consumer)
	for range 2 { // as after a crash between the dead letter and the settlement
		if err := letters.Publish(eventstest.Deadline(t), d, events.Letter{Reason: events.ReasonInvalidEvent}); err != nil {
			t.Fatal(err)
		}
	}
	h.Letter(t)
}

func TestADeadLetterThatDoesNotFitKeepsItsReason(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.KeepInHand()
	consumer, letters := h.Ensure(t)
	most, large := int(h.NC.MaxPayload()), strings.Repeat("x", 64<<10-300)
	for _, c := range []struct {
		what            string
		header          nats.Header
		payload         int
		headers, stored string // what is said to be omitted
	}{
		{"a payload of the maximum", nil, most, "", strconv.Itoa(most)},
		{"a payload that fits without its headers", nats.Header{"X-Large": {large}}, most - 64<<10, "1", ""},
		{"headers of the maximum", nats.Header{"X-Large": {large}}, 5, "1", ""},
	} {
		h.Publish(t, &nats.Msg{Header: c.header, Data: make([]byte, c.payload)})
		d := h.Next(t, consumer)
		if err := letters.Publish(eventstest.Deadline(t), d, events.Letter{Reason: events.ReasonInvalidEvent, Error: "it is too large"}); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		dlq, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS_DLQ")
		if err != nil {
			t.Fatal(err)
		}
		got, err := dlq.GetLastMsgForSubject(eventstest.Deadline(t), h.Cfg.DeadLetterSubject)
		if err != nil {
			t.Fatal(err)
		}
		if got.Header.Get("Revoker-Reason") != "INVALID_EVENT" || got.Header.Get("Revoker-Stream-Sequence") != strconv.FormatUint(d.Sequence, 10) ||
			got.Header.Get("Revoker-Headers-Omitted") != c.headers || got.Header.Get("Revoker-Payload-Omitted") != c.stored {
			got.Header.Del("X-Large")
			t.Errorf("%s: headers %v", c.what, got.Header)
		}
		if whole := len(got.Data) == c.payload; whole != (c.stored == "") {
			t.Errorf("%s: %d bytes of payload", c.what, len(got.Data))
		}
	}
}

func TestADeadLetterWithoutItsStreamIsAnError(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, letters := h.Ensure(t)
	h.Publish(t, &nats.Msg{Data: []byte("x")})
	d := h.Next(t, consumer)
	if err := h.JS.DeleteStream(eventstest.Deadline(t), "SESSIONS_DLQ"); err != nil {
		t.Fatal(err)
	}
	var err error
	testproc.WaitFor(t, "answer in time", func() bool { // the client asks several times, and all together may take too long
		err = letters.Publish(eventstest.Deadline(t), d, events.Letter{Reason: events.ReasonInvalidEvent})
		return !errors.Is(err, context.DeadlineExceeded)
	})
	if !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Errorf("no stream: %v", err)
	}
	// Another stream has the subject: the letter would be out of sight.
	if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"dlq.>"}}); err != nil {
		t.Fatal(err)
	}
	if err := letters.Publish(eventstest.Deadline(t), d, events.Letter{Reason: events.ReasonInvalidEvent}); err == nil {
		t.Error("it went into another stream")
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain": "plain", " a\r\n\tb\x00c\u0085d ": "a b c d", "bad \xff": "bad \uFFFD", "": "",
		strings.Repeat("x", 1024): strings.Repeat("x", 1024), strings.Repeat("x", 1025): strings.Repeat("x", 1021) + "…",
	} {
		if got := events.OneLine(text); got != want {
			t.Errorf("OneLine(%.20q) = %.40q, want %.40q", text, got, want)
		}
	}
}

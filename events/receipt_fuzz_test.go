package events

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
)

// Whatever the event and the API say, a receipt is a valid CloudEvent that has the facts and not the session ID.
func FuzzReceipt(f *testing.F) {
	f.Add("session-1234", "1234567890", "A503001", "login", "SESSIONS", 2, int64(1))
	f.Add("5e55104acdef", "1234567890", "A5e55104acdefB", "login", "SESSIONS", 2, int64(1))
	f.Add("mark id-mark", "\xff\u2028", "mark data", `"`, `a"b%é`, -1, int64(-1))
	f.Add(`a"b\c d/e?f`, "", `a\"b\\c d/e?f`, "a%22b%5Cc", "mark", 0, int64(1)<<60)
	f.Fuzz(func(t *testing.T, id, service, code, source, stream string, tokens int, ended int64) {
		session := SessionID(id)
		if session.Validate() != nil || len(id) < shortID || strings.Contains(`{"specversion":"1.0"}session.revoked application/json `+service+source+stream, id) {
			return
		}
		r := &Receipts{}
		now := time.Date(2026, 3, 1, 12, 0, 0, 7, time.UTC)
		d := &Delivery{msg: &nats.Msg{Header: nats.Header{SourceHeader: {source}}}, Lane: "live", Stream: stream, Sequence: 7, Published: now.Add(-time.Second)}
		receipt := Receipt{Event: Event{SessionID: session, ServiceID: service, EndedAt: time.Unix(0, ended)}, RevokedAt: now, Tokens: tokens, ResultCode: code, Attempts: 1}
		msg := r.message(d, receipt)
		var event cloudevents.Event
		if err := json.Unmarshal(msg.Data, &event); err != nil {
			t.Fatalf("%v in %q", err, msg.Data)
		}
		if err := event.Validate(); err != nil || event.Type() != ReceiptType || !event.Time().Equal(now) {
			t.Errorf("%v: %s", err, event)
		}
		var got ReceiptFacts
		if err := json.Unmarshal(event.Data(), &got); err != nil {
			t.Fatalf("%v in %q", err, event.Data())
		}
		// Written by encoding/json the facts read alike, also where they are not UTF-8.
		var want ReceiptFacts
		whole, err := json.Marshal(receipt.facts(d))
		if err != nil || json.Unmarshal(whole, &want) != nil {
			t.Fatal(err)
		}
		if same, _ := json.Marshal(got); string(same) != string(mustJSON(t, want)) {
			t.Errorf("%s, want %s", same, whole)
		}
		if quoted := string(mustJSON(t, id)); strings.Contains(got.ResultCode, id) || strings.Contains(string(msg.Data), quoted) {
			t.Errorf("the session ID is in %s", msg.Data)
		}
	})
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

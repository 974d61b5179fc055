package events

import (
	"encoding/json"
	"net/url"
	"reflect"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
)

// What is written by hand reads as it would if the SDK had written it, whatever is in it.
func TestAReceiptReadsAsTheSDKWouldWriteIt(t *testing.T) {
	t.Parallel()
	since := int64(-1 << 40)
	at := time.Date(2026, 3, 1, 12, 0, 0, 7, time.UTC)
	for _, stream := range []string{"SESSIONS", `a"b%é`, "mark", "data"} {
		for _, facts := range []ReceiptFacts{
			{PublishedAt: at},
			{
				ServiceID: `"\<é`, TokensDeleted: 2, ResultCode: "mark id", Attempts: 3, SinceEnded: &since, SincePublished: 41, Source: "a b\x00", Lane: "live",
				Stream: stream, Sequence: 1<<64 - 1, PublishedAt: at,
			},
		} {
			d := &Delivery{Stream: stream, Sequence: 7, Published: at}
			var got cloudevents.Event
			if err := json.Unmarshal(receiptEvent(d, "0123456789abcdef", at.In(time.FixedZone("", 3600)), facts), &got); err != nil {
				t.Fatal(err)
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
			want := cloudevents.New(cloudevents.CloudEventsVersionV1)
			want.SetID(stream + "/7/1772366400000000007")
			want.SetSource("revoker/" + url.PathEscape(stream))
			want.SetType("session.revoked")
			want.SetSubject("0123456789abcdef")
			want.SetTime(at)
			if err := want.SetData(cloudevents.ApplicationJSON, facts); err != nil {
				t.Fatal(err)
			}
			if got.Context.String() != want.Context.String() {
				t.Errorf("%s\nwant\n%s", got.Context, want.Context)
			}
			var gotFacts, wantFacts any
			if json.Unmarshal(got.Data(), &gotFacts) != nil || json.Unmarshal(want.Data(), &wantFacts) != nil || !reflect.DeepEqual(gotFacts, wantFacts) {
				t.Errorf("%s\nwant\n%s", got.Data(), want.Data())
			}
		}
	}
}

// BenchmarkReceipt is what it costs to write one.
func BenchmarkReceipt(b *testing.B) {
	r := &Receipts{}
	d := &Delivery{msg: &nats.Msg{Subject: "session.ended"}, Lane: "live", Stream: "SESSIONS", Sequence: 123456, Published: time.Now(), Deliveries: 1}
	receipt := Receipt{Event: Event{SessionID: "a-session-123456", ServiceID: "1234567890", EndedAt: time.Now()}, RevokedAt: time.Now(), Tokens: 2, ResultCode: "A503001", Attempts: 1}
	b.ReportAllocs()
	for b.Loop() {
		r.message(d, receipt)
	}
}

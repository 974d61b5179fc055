package events

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"revoker/config"
)

func BenchmarkReceiptEncode(b *testing.B) {
	r := &Receipts{cfg: config.Default()}
	d := &Delivery{msg: &nats.Msg{Subject: "session.ended"}, Lane: "live", Stream: "SESSIONS", Consumer: "revoker", Sequence: 123456, Published: time.Now(), Deliveries: 1}
	receipt := Receipt{Event: Event{SessionID: "SECRET-session-123456", ServiceID: "1234567890", EndedAt: time.Now()}, RevokedAt: time.Now(), Tokens: 2, ResultCode: "A503001", Attempts: 1}
	b.ReportAllocs()
	for b.Loop() {
		msg, err := r.message(d, receipt)
		if err != nil || len(msg.Data) == 0 {
			b.Fatal(err)
		}
	}
}

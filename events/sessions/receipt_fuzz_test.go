package sessions

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"revoker/events/internal/conn"
)

// Whatever is stored as a receipt, only a receipt is read as one, and it is fit to be shown.
func FuzzStoredReceipt(f *testing.F) {
	const data = `{"serviceId":"1","tokensDeleted":2,"resultCode":"A503001","attempts":1,"msSinceEnded":5,"msSincePublished":3,"source":"login","lane":"live","stream":"SESSIONS","sequence":7,"publishedAt":"2026-03-01T12:00:00Z"}`
	for _, seed := range []string{
		`{"specversion":"1.0","id":"SESSIONS/7/1","source":"revoker/SESSIONS","type":"session.revoked","subject":"00","time":"2026-03-01T12:00:01Z","datacontenttype":"application/json","data":` + data + `}`,
		`{"specversion":"1.0","id":"1","source":"/","type":"session.ended","data":{}}`, `{"specversion":"0.3","type":"session.revoked","id":"1","source":"/"}`,
		`{"specversion":"1.0","id":"1","source":"/","type":"session.revoked","time":"2026-03-01T12:00:01Z","data":"x"}`, data, ``, `null`,
		`{"specversion":"1.0","id":"1","source":"/","type":"session.revoked","time":"2026-03-01T12:00:01Z","data":{"resultCode":"a\u001b[31m\n","source":"\u0000"}}`,
		`{"TYPE":"session.revoked","time":"2026-03-01T12:00:01Z","data":{}}`, `{"type":"x","type":"session.revoked","time":"2026-03-01T12:00:01Z","data":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		receipt, err := decodeReceipt(conn.StoredMessage{Payload: payload})
		if err != nil {
			return
		}
		var envelope map[string]json.RawMessage
		if json.Unmarshal(payload, &envelope) != nil || receipt.RevokedAt.IsZero() {
			t.Fatalf("accepted %q", payload)
		}
		var kind string
		if json.Unmarshal(envelope["type"], &kind) != nil || kind != "session.revoked" {
			t.Errorf("accepted the type %q: %q", kind, payload)
		}
		for _, text := range []string{receipt.ResultCode, receipt.Source} {
			if strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("%q is not fit to be shown", text)
			}
		}
	})
}

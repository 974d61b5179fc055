package dlq

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"

	"revoker/events"
)

// Anyone who may publish to the dead-letter subject may have written a letter. Whatever it is, it is fit to be shown.
func FuzzStoredLetter(f *testing.F) {
	f.Add("Revoker-Reason: CALLER_ERROR\r\nRevoker-Http-Status: 400\r\nRevoker-Deliveries: 3\r\nRevoker-Stream-Sequence: 7\r\n"+
		"Revoker-Published-At: 2026-03-01T12:00:00.000000001Z\r\nRevoker-Replay-Of: SESSIONS_DLQ/4\r\nX-Trace: a\r\nNats-Msg-Id: x", []byte(`{"sessionId":"a-session"}`))
	f.Add("Revoker-Http-Status: -400\r\nRevoker-Headers-Omitted: 99999999999999999999\r\nRevoker-Replay-Of: SESSIONS_DLQ/04\r\nrevoker-reason: x\r\nNATS-Rollup: all", []byte(`{`))
	f.Add("Revoker-Error: a\tb\x1b[31m\xff\r\nRevoker-Stream-Sequence: 18446744073709551616\r\nce-specversion: 1.0\r\nce-type: session.ended\r\nce-id: 1\r\nce-source: /", []byte(`{"sessionId":"b"}`))
	f.Fuzz(func(t *testing.T, lines string, payload []byte) {
		header, err := nats.DecodeHeadersMsg([]byte("NATS/1.0\r\n" + lines + "\r\n\r\n"))
		if err != nil {
			return
		}
		letter := newStoredLetter("SESSIONS_DLQ", 9, time.Now(), header, payload)
		for _, text := range []string{
			letter.Reason, letter.Error, letter.ResultCode, letter.ResultMessage, letter.Origin.Stream, letter.Origin.Subject, letter.Origin.Consumer, letter.Origin.MessageID, letter.ReplayOf,
		} {
			if strings.ContainsFunc(text, unicode.IsControl) || len(text) > 1024 {
				t.Errorf("%q is not fit to be shown", text)
			}
		}
		if min(letter.HTTPStatus, letter.Origin.Deliveries, letter.HeadersOmitted, letter.PayloadOmitted) < 0 {
			t.Errorf("a number below zero: %+v", letter)
		}
		if letter.ReplayOf != "" && !strings.HasPrefix(letter.ReplayOf, "SESSIONS_DLQ/") {
			t.Errorf("a replay of %q", letter.ReplayOf)
		}
		event, err := events.Decode(header, payload)
		if letter.SessionID != event.SessionID || (err == nil) != (letter.SessionID != "") {
			t.Errorf("of the session %q, want %q", string(letter.SessionID), string(event.SessionID))
		}
		for name := range letter.OwnHeader() {
			if lower := strings.ToLower(name); strings.HasPrefix(lower, "nats-") || strings.HasPrefix(lower, "revoker-") {
				t.Errorf("%s is not the event's", name)
			}
		}
	})
}

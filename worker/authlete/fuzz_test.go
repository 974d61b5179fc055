package authlete

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

// FuzzParseBody: a body comes from the network, and an action taken from anything but a JSON object would settle an event.
func FuzzParseBody(f *testing.F) {
	for _, seed := range []string{
		`{"action":"OK","count":2,"resultCode":"A503001","resultMessage":"done"}`,
		`{"action":"SERVER_ERROR","count":-1}`, `{"action":1,"count":"2"}`, `{"action":"OK"`, `[{"action":"OK"}]`, `null`, `"OK"`,
		``, `<html>`, "\ufeff{}", `{"ACTION":"OK"}`, `{"action":"OK","action":null,"count":1e9}`, "{\"action\":\"\xff\"}",
		`{"action":"OK","\u0061ction":"CALLER_ERROR"}`, `{"a":{"action":1},"action":"OK","b":["action"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Response
		r.parseBody(body)
		if r.Count < 0 {
			t.Errorf("count %d", r.Count)
		}
		object := json.Valid(body) && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
		if !object && r != (Response{}) {
			t.Errorf("%+v from what is no JSON object", r)
		}
		if object && r.Action != "" && actions(body) != 1 {
			t.Errorf("%+v from %d actions", r, actions(body))
		}
		if r.Status != 0 || r.RetryAfter != 0 {
			t.Errorf("%+v: the body set what it does not hold", r)
		}
	})
}

// actions counts the members of that name in a JSON object.
func actions(object []byte) (n int) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	_, _ = decoder.Token() // the bracket
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			return n
		}
		if name == "action" {
			n++
		}
	}
	return n
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "", int64(1772366400))
	f.Add("-1", "Sun, 01 Mar 2026 12:00:00 GMT", int64(0))
	f.Add("99999999999999999999", "", int64(-1))
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", int64(1)<<62)
	f.Add("Sunday, 01-Mar-26 12:00:30 GMT", "Sun Mar  1 12:00:00 2026", int64(1772366400))
	f.Fuzz(func(t *testing.T, value, date string, now int64) {
		header := http.Header{"Retry-After": {value}, "Date": {date}}
		if d := parseRetryAfter(header, time.Unix(now, 0)); d < 0 || d > MaxRetryAfter {
			t.Errorf("Retry-After %q, Date %q, now %d: %s", value, date, now, d)
		}
	})
}

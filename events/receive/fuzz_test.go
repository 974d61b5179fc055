package receive

import (
	"crypto/sha256"
	"encoding/json"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"revoker/events"
)

// fuzzedID is a session ID, or a token, that nothing else contains.
const fuzzedID = "SECRET-7f3a91c2"

// Nothing is accepted over HTTP that a worker would refuse, and a refusal does not quote the session ID.
func FuzzEvents(f *testing.F) {
	const event = `{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data":{"sessionId":"`
	f.Add("application/json", "", []byte(`{"sessionId":"`), []byte(`"}`))
	f.Add("application/json", "1.0", []byte(`{"sessionId":"`), []byte(`","serviceId":"1","endedAt":"2026-03-01T12:00:00Z"}`))
	f.Add("application/cloudevents+json", "", []byte(event), []byte(`"}}`))
	f.Add(batchType+"; charset=utf-8", "", []byte(`[`+event+`a"}},`+event), []byte(`"}}]`))
	f.Add(batchType, "1.0", []byte(`[{"sessionId":"`), []byte(`"}, null, [], {}]`))
	f.Fuzz(func(t *testing.T, contentType, version string, before, after []byte) {
		header := http.Header{"Content-Type": {contentType}}
		if version != "" {
			header["Ce-Specversion"], header["Ce-Type"], header["Ce-Id"], header["Ce-Source"] = []string{version}, []string{"session.ended"}, []string{"1"}, []string{"/"}
		}
		body := append(append(before, fuzzedID...), after...)
		list, err := decode(header, body)
		var batch []json.RawMessage
		mediaType, _, _ := mime.ParseMediaType(contentType)
		if mediaType == batchType {
			_ = json.Unmarshal(body, &batch)
		} else {
			batch = []json.RawMessage{body}
		}
		if err != nil {
			if i := indexOf(err); strings.Contains(err.Error(), fuzzedID) || i != nil && (*i < 0 || *i >= len(batch)) {
				t.Errorf("%v, index %v", err, i)
			}
			return
		}
		if len(list) == 0 || len(list) > maxBatch || len(list) != len(batch) {
			t.Fatalf("%d events of %d", len(list), len(batch))
		}
		for i, event := range list {
			// What is published is what Encode returns.
			if got, err := events.Decode(nil, event.Encode()); err != nil || got.SessionID != event.SessionID || got.ServiceID != event.ServiceID {
				t.Errorf("a worker would read event %d of %q as %q: %v", i, body, string(got.SessionID), err)
			}
			// A worker that takes the request's bytes from NATS reads the same.
			if mediaType == batchType {
				header = http.Header{"Content-Type": {"application/cloudevents+json"}}
			}
			if got, err := events.Decode(map[string][]string(header), batch[i]); err != nil || got != event {
				t.Errorf("event %d of %q is %q, want %q: %v", i, body, string(event.SessionID), string(got.SessionID), err)
			}
		}
	})
}

// Only a form with exactly one logout_token has one.
func FuzzLogoutForm(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", "logout_token="+fuzzedID)
	f.Add("application/x-www-form-urlencoded; charset=utf-8", "a=b&logout_token=a.b.c&logout_token="+fuzzedID)
	f.Add("multipart/form-data; boundary=x", "logout_token=%zz"+fuzzedID)
	f.Add("APPLICATION/X-WWW-FORM-URLENCODED", "%6cogout_token=a+b%2e;c&x"+fuzzedID)
	f.Fuzz(func(t *testing.T, contentType, body string) {
		request := httptest.NewRequest(http.MethodPost, "/backchannel-logout", strings.NewReader(body))
		request.Header.Set("Content-Type", contentType)
		token, err := readToken(httptest.NewRecorder(), request)
		if err != nil {
			if token != "" || strings.Contains(err.Error(), fuzzedID) {
				t.Errorf("%q, %v", token, err)
			}
			return
		}
		// Another reader: each field by itself.
		var found []string
		for field := range strings.SplitSeq(body, "&") {
			name, value, _ := strings.Cut(field, "=")
			if name, err := url.QueryUnescape(name); err != nil || name != "logout_token" {
				continue
			}
			value, err := url.QueryUnescape(value)
			if err != nil {
				t.Errorf("accepted %q", body)
			}
			found = append(found, value)
		}
		if len(found) != 1 || found[0] != token || token == "" || len(body) > maxLogoutBody {
			t.Errorf("%q has the tokens %q, read as %q", body, found, token)
		}
	})
}

// Only one of the file's tokens is allowed, and what is wrong with a file is told without them.
func FuzzBearer(f *testing.F) {
	const good = fuzzedID + "-long-enough"
	f.Add([]byte(good), "Bearer "+good)
	f.Add([]byte("  "+good+"\r\n\tanother-token-of-16\n"), "bearer another-token-of-16")
	f.Add([]byte(good+"\nshort"), "Bearer  "+good)
	f.Add([]byte(good), "Basic "+good)
	f.Add([]byte("\ufeff"+good+"\x00"), "Bearer "+good)
	f.Fuzz(func(t *testing.T, file []byte, authorization string) {
		var b bearer
		if err := b.take(file); err != nil {
			if len(b.tokens) > 0 || strings.Contains(err.Error(), fuzzedID) {
				t.Errorf("%v", err)
			}
			return
		}
		allowed := b.allows(&http.Request{Header: http.Header{"Authorization": {authorization}}}, time.Time{})
		want := false
		for _, token := range strings.Fields(string(file)) {
			if len(token) < minTokenLength {
				t.Errorf("took %q", token)
			}
			want = want || len(authorization) > 7 && strings.EqualFold(authorization[:7], "Bearer ") && authorization[7:] == token
		}
		if allowed != want {
			t.Errorf("Authorization %q is allowed: %t; the file is %q", authorization, allowed, file)
		}
		if len(b.tokens) != len(strings.Fields(string(file))) || b.tokens[0] != sha256.Sum256([]byte(strings.Fields(string(file))[0])) {
			t.Errorf("%d tokens of %q", len(b.tokens), file)
		}
	})
}

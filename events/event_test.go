package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events"
)

func TestDecodeReadsTheEvent(t *testing.T) {
	t.Parallel()
	structured := nats.Header{"Content-Type": {"application/cloudevents+json; charset=UTF-8"}}
	binary := nats.Header{"ce-specversion": {"1.0"}, "ce-type": {"session.ended"}, "ce-id": {"1"}, "ce-source": {"/idp"}}
	const envelope = `{"specversion":"1.0","type":"session.ended","id":"1","source":"/idp",`
	for name, c := range map[string]struct {
		header  nats.Header
		payload string
		id      events.SessionID
		service string
		reason  string
		ended   string
	}{
		"the least":                     {payload: `{"sessionId":"abc"}`, id: "abc"},
		"all members":                   {payload: `{"sessionId":"abc","serviceId":"77","endedAt":"2026-01-02T03:04:05Z","reason":"logout"}`, id: "abc", service: "77", reason: "logout", ended: "2026-01-02 03:04:05"},
		"unknown members":               {payload: ` {"x":{"y":[1,{}]},"sessionId":"abc","x":2} `, id: "abc"},
		"absent by null":                {payload: `{"sessionId":"abc","serviceId":null,"reason":null,"endedAt":null}`, id: "abc"},
		"escapes":                       {payload: `{"sessionId":"\u00e9\ud83d\ude00\"\\<"}`, id: "é😀\"\\<"},
		"longest":                       {payload: `{"sessionId":"` + strings.Repeat("x", 1024) + `"}`, id: events.SessionID(strings.Repeat("x", 1024))},
		"what is not needed, malformed": {payload: `{"sessionId":"abc","endedAt":"yesterday","reason":7}`, id: "abc"},
		"a byte order mark":             {payload: "\ufeff{\"sessionId\":\"abc\"}", id: "abc"},
		"invalid bytes in a reason":     {payload: "{\"sessionId\":\"abc\",\"reason\":\"l\xffgout\"}", id: "abc"},
		"invalid bytes in a time":       {payload: "{\"sessionId\":\"abc\",\"endedAt\":\"\xc3\x28\"}", id: "abc"},
		"invalid bytes elsewhere":       {payload: "{\"\xff\":1,\"x\":[\"\xff\",{\"\xff\":\"\xff\"}],\"sessionId\":\"abc\"}", id: "abc"},
		"structured, byte order mark":   {header: structured, payload: "\ufeff" + envelope + `"data":{"sessionId":"abc"}}`, id: "abc"},
		"structured, mark, no header":   {payload: "\ufeff" + envelope + `"data":{"sessionId":"abc"}}`, id: "abc"},
		"structured, mark in base64":    {header: structured, payload: envelope + `"data_base64":"77u/eyJzZXNzaW9uSWQiOiJhYmMifQ=="}`, id: "abc"},
		"structured, invalid reason":    {header: structured, payload: envelope + "\"data\":{\"sessionId\":\"abc\",\"reason\":\"\xff\"}}", id: "abc"},
		"structured, invalid extension": {header: structured, payload: envelope + "\"tenant\":\"\xff\",\"data\":{\"sessionId\":\"abc\"}}", id: "abc"},
		"binary, byte order mark":       {header: binary, payload: "\ufeff{\"sessionId\":\"abc\"}", id: "abc"},
		"names match exactly":           {payload: `{"SESSIONID":"no","sessionId":"abc","sessionid":"no"}`, id: "abc"},
		"structured":                    {header: structured, payload: envelope + `"data":{"sessionId":"abc","reason":"r"}}`, id: "abc", reason: "r"},
		"structured, base64":            {header: structured, payload: envelope + `"data_base64":"eyJzZXNzaW9uSWQiOiJhYmMifQ=="}`, id: "abc"},
		"structured, with extensions":   {header: structured, payload: envelope + `"time":"2026-01-02T03:04:05Z","tenant":"t","datacontenttype":"application/json","data":{"sessionId":"abc"}}`, id: "abc"},
		"structured without the header": {payload: envelope + `"data":{"sessionId":"abc"}}`, id: "abc"},
		"structured, as text":           {header: structured, payload: envelope + `"datacontenttype":"text/plain","data":"{\"sessionId\":\"abc\"}"}`, id: "abc"},
		"structured, null and base64":   {header: structured, payload: envelope + `"data":null,"data_base64":"eyJzZXNzaW9uSWQiOiJhYmMifQ=="}`, id: "abc"},
		"structured, not needed":        {header: structured, payload: envelope + `"time":"yesterday","subject":7,"x-y":{"z":1e99},"datacontenttype":";","data":{"sessionId":"abc"}}`, id: "abc"},
		"IDs of other purposes":         {payload: `{"id":1,"id":2,"source":{},"sessionId":"abc","source":3}`, id: "abc"},
		"binary":                        {header: binary, payload: `{"sessionId":"abc","serviceId":"77"}`, id: "abc", service: "77"},
		"binary, other case":            {header: nats.Header{"Ce-Specversion": {"1.0"}, "Ce-Type": {"session.ended"}, "CE-ID": {"1"}, "Ce-Source": {"/idp"}}, payload: `{"sessionId":"abc"}`, id: "abc"},
		"the content type decides":      {header: nats.Header{"content-type": {"application/cloudevents+json"}, "ce-specversion": {"0.3"}}, payload: envelope + `"data":{"sessionId":"abc"}}`, id: "abc"},
		"another content type":          {header: nats.Header{"Content-Type": {"application/json"}}, payload: `{"sessionId":"abc"}`, id: "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event, err := events.Decode(c.header, []byte(c.payload))
			if err != nil {
				t.Fatal(err)
			}
			if string(event.SessionID) != string(c.id) || event.ServiceID != c.service || event.Reason != c.reason {
				t.Errorf("got session %q, service %q, reason %q", string(event.SessionID), event.ServiceID, event.Reason)
			}
			if ended := event.EndedAt; (c.ended == "") != ended.IsZero() || (c.ended != "" && ended.UTC().Format("2006-01-02 15:04:05") != c.ended) {
				t.Errorf("ended at %v, want %q", ended, c.ended)
			}
		})
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	structured := nats.Header{"Content-Type": {"application/cloudevents+json"}}
	for name, c := range map[string]struct {
		header  nats.Header
		payload string
		want    string
	}{
		"nothing":                      {want: "the payload is empty"},
		"no JSON":                      {payload: "SECRET", want: "not valid JSON at byte"},
		"cut off":                      {payload: `{"sessionId":"SECRET"`, want: "ends too early"},
		"cut off in a member":          {payload: `{"sessionId":"SEC`, want: "ends too early"},
		"more than an object":          {payload: `{"sessionId":"SECRET"} {}`, want: "not valid JSON: something follows it at byte 24"},
		"a word after the object":      {payload: `{"sessionId":"SECRET"} x`, want: "not valid JSON: something follows it at byte 24"},
		"a byte order mark alone":      {payload: "\ufeff", want: "the payload is empty"},
		"a byte order mark within":     {payload: "{\ufeff\"sessionId\":\"SECRET\"}", want: "not valid JSON at byte 2"},
		"two byte order marks":         {payload: "\ufeff\ufeff{\"sessionId\":\"SECRET\"}", want: "not valid JSON at byte 1"},
		"invalid UTF-8 in the service": {payload: "{\"sessionId\":\"SECRET\",\"serviceId\":\"\xff\"}", want: "serviceId is not valid UTF-8"},
		"invalid UTF-8 in CloudEvents": {header: structured, payload: "{\"specversion\":\"1.0\",\"type\":\"session.ended\",\"id\":\"1\",\"source\":\"/\",\"data\":{\"sessionId\":\"SECRET\xff\"}}", want: "sessionId"},
		"an array":                     {payload: `["SECRET"]`, want: "not an object"},
		"a string":                     {payload: `"SECRET"`, want: "not an object"},
		"null":                         {payload: `null`, want: "not an object"},
		"invalid UTF-8":                {payload: "{\"sessionId\":\"SECRET\xff\"}", want: "not valid UTF-8"},
		"arrays nested too deep":       {payload: strings.Repeat("[", 1<<20), want: "not valid JSON"},
		"objects nested too deep":      {payload: `{"sessionId":"SECRET","x":` + strings.Repeat(`{"a":`, 200_000), want: "not valid JSON"},
		"no session ID":                {payload: `{"session":"SECRET"}`, want: "has no sessionId"},
		"a null session ID":            {payload: `{"sessionId":null}`, want: "sessionId is null"},
		"a number":                     {payload: `{"sessionId":7}`, want: "sessionId is not a string"},
		"an object":                    {payload: `{"sessionId":{"SECRET":1}}`, want: "sessionId is not a string"},
		"an empty session ID":          {payload: `{"sessionId":""}`, want: "sessionId is empty"},
		"too long":                     {payload: `{"sessionId":"` + strings.Repeat("SECRET", 200) + `"}`, want: "has 1200 bytes; at most 1024"},
		"one byte too long":            {payload: `{"sessionId":"` + strings.Repeat("x", 1025) + `"}`, want: "has 1025 bytes"},
		"too long in bytes":            {payload: `{"sessionId":"` + strings.Repeat("é", 513) + `"}`, want: "has 1026 bytes"},
		"a control character":          {payload: `{"sessionId":"SECRET\u0000"}`, want: "control character"},
		"a line end":                   {payload: `{"sessionId":"SECRET\n"}`, want: "control character"},
		"half a surrogate pair":        {payload: `{"sessionId":"SECRET\ud800"}`, want: "invalid Unicode escape"},
		"two session IDs":              {payload: `{"sessionId":"SECRET","sessionId":"b"}`, want: "sessionId twice"},
		"a service that is no string":  {payload: `{"sessionId":"SECRET","serviceId":7}`, want: "serviceId is not a string"},
		"another type":                 {header: structured, payload: `{"specversion":"1.0","type":"SECRET","id":"1","source":"/","data":{"sessionId":"a"}}`, want: "not of type session.ended"},
		"another version":              {header: structured, payload: `{"specversion":"0.3","type":"session.ended","id":"1","source":"/","data":{"sessionId":"a"}}`, want: "not of version 1.0"},
		"no version":                   {header: structured, payload: `{"type":"session.ended","id":"1","source":"/","data":{"sessionId":"a"}}`, want: "no specversion"},
		"no source":                    {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","data":{"sessionId":"SECRET"}}`, want: "source is missing"},
		"no ID":                        {header: structured, payload: `{"specversion":"1.0","type":"session.ended","source":"/","data":{"sessionId":"SECRET"}}`, want: "id is missing"},
		"an ID that is not a string":   {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":1,"source":"/","data":{"sessionId":"SECRET"}}`, want: "id is missing or malformed"},
		"a malformed source":           {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"%zzSECRET","data":{"sessionId":"a"}}`, want: "source is missing or malformed"},
		"data in two members":          {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data":{"sessionId":"SECRET"},"data_base64":"e30="}`, want: "both data and data_base64"},
		"data not in base64":           {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data_base64":"SECRET!"}`, want: "data_base64 is not base64"},
		"base64 that is not a string":  {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data_base64":["SECRET"]}`, want: "data_base64 is not a string"},
		"data that are an array":       {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data":["SECRET"]}`, want: "the CloudEvent's data is JSON, but not an object"},
		"null data":                    {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data":null}`, want: "the CloudEvent's data is JSON, but not an object"},
		"no data":                      {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"/"}`, want: "the CloudEvent's data is empty"},
		"data without a session ID":    {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data":{"s":"SECRET"}}`, want: "the CloudEvent's data has no sessionId"},
		"data that is an event itself": {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data":{"specversion":"1.0"}}`, want: "the CloudEvent's data has no sessionId"},
		"two data":                     {header: structured, payload: `{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data":{"sessionId":"a"},"data":{"sessionId":"b"}}`, want: "data twice"},
		"a batch":                      {header: nats.Header{"Content-Type": {"application/cloudevents-batch+json"}}, payload: `[]`, want: "batch"},
		"binary of another type":       {header: nats.Header{"ce-specversion": {"1.0"}, "ce-type": {"SECRET"}, "ce-id": {"1"}, "ce-source": {"/"}}, payload: `{"sessionId":"a"}`, want: "not of type"},
		"binary of another version":    {header: nats.Header{"ce-specversion": {"1.1"}, "ce-type": {"session.ended"}, "ce-id": {"1"}, "ce-source": {"/"}}, payload: `{"sessionId":"a"}`, want: "not of version"},
		"binary without a source":      {header: nats.Header{"ce-specversion": {"1.0"}, "ce-type": {"session.ended"}, "ce-id": {"1"}}, payload: `{"sessionId":"a"}`, want: "source is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := events.Decode(c.header, []byte(c.payload))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the error quotes the message: %v", err)
			}
		})
	}
}

func TestEncodeIsWhatDecodeReads(t *testing.T) {
	t.Parallel()
	for _, id := range []events.SessionID{"abc", `a"b\c<d>&`, "é😀\u2028"} {
		event := events.Event{SessionID: id, ServiceID: "77", Reason: "logout"}
		got, err := events.Decode(nil, event.Encode())
		if err != nil || got != event {
			t.Errorf("%q came back as %q: %v", string(id), string(got.SessionID), err)
		}
	}
}

func TestMessageIDHidesTheSession(t *testing.T) {
	t.Parallel()
	// printf 'svc\0my-sid' | sha256sum
	const want = "d84ea9f83da19ab87f5a4286dad0bac7010e52fe5aed8a1b6483f005d743397a"
	event := events.Event{SessionID: "my-sid", ServiceID: "svc"}
	for lane, want := range map[config.Lane]string{config.Live: want, config.Bulk: "bulk/" + want} {
		if got := event.MessageID(lane); got != want {
			t.Errorf("%s: got %s, want %s", lane, got, want)
		}
	}
}

func TestSessionIDMasksItself(t *testing.T) {
	t.Parallel()
	const secret = "SECRET-session"
	id := events.SessionID(secret)
	type nested struct{ Event events.Event }
	value := nested{events.Event{SessionID: id}}
	var text, object strings.Builder
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "id", id, "value", value)
	slog.New(slog.NewJSONHandler(&object, nil)).Info("m", "id", id, "value", value)
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{text.String(), object.String(), string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		printed = append(printed, fmt.Sprintf(verb, id), fmt.Sprintf(verb, value), fmt.Sprintf(verb, &value))
	}
	for _, p := range printed {
		if strings.Contains(p, secret) || strings.Contains(p, fmt.Sprintf("%x", secret)) {
			t.Errorf("the ID is in %s", p)
		}
		if !strings.Contains(p, id.Mask()) && !strings.Contains(p, "Event") {
			t.Errorf("the mask is not in %s", p)
		}
	}
}

func TestMaskIn(t *testing.T) {
	t.Parallel()
	mask := func(id string) string { return "session:" + events.SessionID(id).Mask() }
	for _, c := range []struct{ text, id, want string }{
		{"session long-session-id has gone", "long-session-id", "session " + mask("long-session-id") + " has gone"},
		{"xlong-session-idx", "long-session-id", "x" + mask("long-session-id") + "x"},
		{`bad: "a\"b\\c long"`, `a"b\c long`, `bad: "` + mask(`a"b\c long`) + `"`},
		{"?sid=a%2Fb%2Fc%2Fd%2Fe", "a/b/c/d/e", "?sid=" + mask("a/b/c/d/e")},
		{"a is a short one: 'a', aa, ba", "a", mask("a") + " is " + mask("a") + " short one: '" + mask("a") + "', aa, ba"},
		{"nothing of it", "other-session", "nothing of it"},
		{"no ID is known", "", "no ID is known"},
	} {
		if got := events.MaskIn(c.text, events.SessionID(c.id)); got != c.want {
			t.Errorf("MaskIn(%q, %q) = %q, want %q", c.text, c.id, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("", "", []byte(`{"sessionId":"abc","serviceId":"1"}`))
	f.Add("application/cloudevents+json", "", []byte(`{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data":{"sessionId":"a"}}`))
	f.Add("", "1.0", []byte(`{"sessionId":"\ud800"}`))
	f.Fuzz(func(t *testing.T, contentType, version string, payload []byte) {
		header := nats.Header{}
		if contentType != "" {
			header.Set("Content-Type", contentType)
		}
		if version != "" {
			for name, value := range map[string]string{"specversion": version, "type": "session.ended", "id": "1", "source": "/"} {
				header.Set("ce-"+name, value)
			}
		}
		event, err := events.Decode(header, payload)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Errorf("an error of %d bytes quotes the message", len(err.Error()))
			}
			return
		}
		if err := event.SessionID.Validate(); err != nil {
			t.Errorf("a session ID was accepted that is not one: %v", err)
		}
		again, err := events.Decode(nil, event.Encode())
		if err != nil || again.SessionID != event.SessionID || again.ServiceID != event.ServiceID {
			t.Errorf("the event does not survive encoding: %v", err)
		}
	})
}

// What encoding/json reads is read alike, but for what it is too lenient about.
func FuzzDecodeAgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		`{"sessionId":"abc"}`, ` { "a" : [ { "sessionId" : "x" } , "}" ] , "sessionId" : "b\"c" , "n" : -1.5e3 , "t" : true } `,
		`{"session\u0049d":"escaped"}`, `{"":0,"x":{},"y":[],"z":"\\","sessionId":"q"}`, `[]`, `{}`, `{"sessionId":null}`,
		"\ufeff{\"sessionId\":\"abc\"}", "{\"sessionId\":\"abc\",\"reason\":\"\xff\"}", "{\"sessionId\":\"\xff\"}", `{"sessionId":"a"} x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		event, err := events.Decode(nil, payload)
		var members map[string]json.RawMessage
		if json.Unmarshal(bytes.TrimPrefix(payload, []byte("\ufeff")), &members) != nil || members == nil {
			if err == nil {
				t.Fatalf("%q is not an object, and was read", payload)
			}
			return
		}
		var want string
		if json.Unmarshal(members["sessionId"], &want) != nil || events.SessionID(want).Validate() != nil {
			if err == nil && members["specversion"] == nil {
				t.Fatalf("%q has no valid session ID, and was read as %q", payload, string(event.SessionID))
			}
			return
		}
		if err == nil && string(event.SessionID) != want {
			t.Fatalf("%q was read as %q, want %q", payload, string(event.SessionID), want)
		}
		if err != nil && strings.Contains(err.Error(), "sessionId") && !strings.Contains(err.Error(), "twice") {
			t.Fatalf("%q: %v", payload, err)
		}
	})
}

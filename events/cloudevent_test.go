package events_test

import (
	"bytes"
	"encoding/json"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/events/jsonobject"
)

// What the official SDK reads in the structured mode is read alike. revoker reads more: it needs no optional attribute.
func FuzzStructuredAgreesWithTheSDK(f *testing.F) {
	const attributes = `{"specversion":"1.0","type":"session.ended","id":"1","source":"/idp",`
	for _, rest := range []string{
		`"data":{"sessionId":"abc"}}`,
		`"data_base64":"eyJzZXNzaW9uSWQiOiJhYmMifQ=="}`,
		`"datacontenttype":"text/plain","data":"{\"sessionId\":\"abc\"}"}`,
		`"datacontenttype":"application/vnd.idp+json","data":"{\"sessionId\":\"\u00e9\"}"}`,
		`"time":"2026-01-02T03:04:05.678Z","subject":"s","dataschema":"https://idp.example/schema","tenant":7,"flag":true,"data":{"sessionId":"abc","serviceId":"77"}}`,
		`"datacontenttype":"application/json; charset=utf-8","id":"2","source":"x","data":{"sessionId":"abc"}}`,
	} {
		f.Add([]byte(attributes + rest))
	}
	f.Add([]byte(`{"data":{"sessionId":"abc"},"id":"1","source":"a b","type":"session.ended","specversion":"1.0"}`))
	structured := nats.Header{"Content-Type": {"application/cloudevents+json"}}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var members map[string]json.RawMessage
		var event cloudevents.Event
		if json.Unmarshal(payload, &members) != nil || json.Unmarshal(payload, &event) != nil || event.Validate() != nil {
			return
		}
		_, nameless := members[""]
		if nameless || ambiguous(payload) || event.SpecVersion() != "1.0" || event.Type() != "session.ended" {
			return // the SDK ends with a member that has no name, and reads other versions and types
		}
		want, err := events.Decode(nil, event.Data())
		if err != nil || bytes.Contains(event.Data(), []byte("specversion")) {
			return // not an event of revoker's, or an event in an event
		}
		if got, err := events.Decode(structured, payload); err != nil || got != want {
			t.Fatalf("%s is read as %+v (%v), not as %+v", payload, got, err, want)
		}
	})
}

// ambiguous reports whether a payload has a member twice, or both kinds of data. revoker refuses it; the SDK takes one of the two.
func ambiguous(payload []byte) bool {
	seen := map[string]bool{}
	twice := false
	_ = jsonobject.Walk(payload, func(name, _ []byte) error {
		twice = twice || seen[string(name)]
		seen[string(name)] = true
		return nil
	})
	return twice || seen["data"] && seen["data_base64"]
}

package events_test

import (
	"encoding/json"
	"mime"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/events"
)

// fuzzedID is a session ID that nothing else contains.
const fuzzedID = "SECRET-7f3a91c2"

// Whatever a message is, its session ID is not in the error, and what is accepted is accepted by another reader too. This holds
// for each content mode, since the headers are arbitrary too.
func FuzzCloudEvent(f *testing.F) {
	const structured, binary = "application/cloudevents+json; charset=utf-8", "application/json"
	f.Add(structured, "", "", "", "", []byte(`{"specversion":"1.0","type":"session.ended","id":"1","source":"/a","data":{"sessionId":"`), []byte(`"}}`))
	f.Add(structured, "", "", "", "", []byte(`{"specversion":"1.0","type":"session.ended","id":"1","source":"/","datacontenttype":"text/plain","data":"{\"sessionId\":\"`), []byte(`\"}"}`))
	f.Add(structured, "", "", "", "", []byte(`{"specversion":"1.0","type":"session.ended","id":"1","source":"/","time":"2026-03-01T12:00:00Z","data_base64":"`), []byte(`"}`))
	f.Add("", "", "", "", "", []byte(`{"data":{"sessionId":"`), []byte(`"},"specversion":"1.0","type":"session.ended","id":"1","source":"/","subject":"x","ext":"y"}`))
	f.Add(binary, "1.0", "session.ended", "1", "urn:login", []byte(`{"sessionId":"`), []byte(`","endedAt":"9999-12-31T23:59:59-23:59","reason":"x"}`))
	f.Add("application/cloudevents-batch+json", "1.0", "session.ended", "1", "/", []byte(`[{"sessionId":"`), []byte(`"}]`))
	f.Add("application/cloudevents-batch+json", "", "", "", "", []byte(`{"specversion":"1.0","type":"session.ended","id":"1","source":"/","data":{"sessionId":"`), []byte(`"}}`))
	f.Add("", "0.3", "session.revoked", "", "%zz", []byte("\ufeff"+`{"sessionId":"\u0053`), []byte(`"}`))
	f.Fuzz(func(t *testing.T, contentType, version, eventType, id, source string, before, after []byte) {
		header := nats.Header{}
		for name, value := range map[string]string{"content-type": contentType, "CE-SpecVersion": version, "ce-type": eventType, "Ce-Id": id, "ce-source": source} {
			if value != "" {
				header[name] = []string{value}
			}
		}
		payload := append(append(before, fuzzedID...), after...)
		event, err := events.Decode(header, payload)
		if err != nil {
			if strings.Contains(err.Error(), fuzzedID) || len(err.Error()) > 200 {
				t.Errorf("the error quotes the message: %v", err)
			}
			return
		}
		again, err := events.Decode(nil, event.Encode())
		if err != nil || again.SessionID != event.SessionID || again.ServiceID != event.ServiceID || again.Reason != event.Reason {
			t.Errorf("the event does not survive encoding: %v", err)
		}
		object := payload
		switch mediaType, _, _ := mime.ParseMediaType(contentType); {
		case strings.HasPrefix(mediaType, "application/cloudevents-batch+json"):
			t.Error("a batch was accepted")
		case strings.HasPrefix(mediaType, "application/cloudevents+json"):
			object = dataOf(t, payload)
		case version != "":
			if version != "1.0" || eventType != "session.ended" || id == "" || source == "" {
				t.Errorf("accepted a binary event of version %q, type %q, ID %q, source %q", version, eventType, id, source)
			}
		}
		if members := membersOf(object); members["sessionId"] == nil && version == "" {
			object = dataOf(t, payload) // a structured event without the header that says so
		}
		var want string
		if err := json.Unmarshal(membersOf(object)["sessionId"], &want); err != nil || want != string(event.SessionID) {
			t.Errorf("%q was read as %q: %v", payload, string(event.SessionID), err)
		}
	})
}

// membersOf reads an object as encoding/json does, which unlike into a struct is exact about names.
func membersOf(object []byte) (members map[string]json.RawMessage) {
	_ = json.Unmarshal([]byte(strings.TrimPrefix(string(object), "\ufeff")), &members)
	return members
}

// dataOf is the data of a structured event that was accepted.
func dataOf(t *testing.T, payload []byte) []byte {
	t.Helper()
	envelope := membersOf(payload)
	for name, wanted := range map[string]string{"specversion": "1.0", "type": "session.ended"} {
		var value string
		if err := json.Unmarshal(envelope[name], &value); err != nil || value != wanted {
			t.Errorf("accepted %s %q: %q", name, value, payload)
		}
	}
	for _, name := range []string{"id", "source"} {
		var value string
		if err := json.Unmarshal(envelope[name], &value); err != nil || value == "" {
			t.Errorf("accepted without %s: %q", name, payload)
		}
	}
	data := []byte(envelope["data"])
	if data == nil {
		if err := json.Unmarshal(envelope["data_base64"], &data); err != nil {
			t.Errorf("accepted without data: %q", payload)
		}
	}
	var text string
	if json.Unmarshal(data, &text) == nil && text != "" {
		return []byte(text)
	}
	return data
}

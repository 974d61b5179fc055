// Package events is all that touches JetStream: the session.ended event and its decoding, the streams and the durable
// consumer, deliveries by demand, dead letters, and publishing.
package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
)

// Type is the CloudEvents type of the event.
const Type = "session.ended"

// Event says that an identity provider ended a session.
type Event struct {
	// SessionID is 1 to MaxSessionIDLength bytes without control characters.
	SessionID SessionID
	// ServiceID is the Authlete service that the session belongs to; empty for the configured one.
	ServiceID string
	// EndedAt is when the session ended; zero where the event does not say, or not as an RFC 3339 time.
	EndedAt time.Time
	// Reason is why the session ended, where the event says.
	Reason string
}

// Decode reads a message as an event: a JSON object, or a CloudEvents 1.0 event, structured or binary, whose data is
// one. Its errors are sentences for the dead letter that say what is wrong and quote nothing of the message.
//
// What is needed to revoke the session is checked strictly; endedAt and reason are not needed, so that a malformed one
// reads as absent rather than keeping a session alive. Unknown members are ignored.
func Decode(header nats.Header, payload []byte) (Event, error) {
	switch cloudEventMode(header) {
	case binaryMode:
		if err := checkBinary(header); err != nil {
			return Event{}, err
		}
	case structuredMode:
		return decodeStructured(payload)
	case batchMode:
		return Event{}, errors.New("the message is a batch of CloudEvents; publish one event a message")
	}
	return decodeObject("the payload", payload, true)
}

// decodeObject reads the event object itself; what names it in errors. A top-level object that is a structured
// CloudEvent without the header that says so is read as one, for publishers that cannot set headers.
func decodeObject(what string, payload []byte, top bool) (Event, error) {
	members, err := objectMembers(what, payload)
	if err != nil {
		return Event{}, err
	}
	if members["specversion"] != nil && members["sessionId"] == nil && top {
		return decodeStructured(payload)
	}
	var event Event
	id, err := stringMember(members, "sessionId")
	if err != nil {
		return Event{}, err
	}
	if event.SessionID = SessionID(id); id == "" && members["sessionId"] == nil {
		return Event{}, fmt.Errorf("%s has no sessionId", what)
	}
	if err := event.SessionID.Validate(); err != nil {
		return Event{}, err
	}
	if event.ServiceID, err = stringMember(members, "serviceId"); err != nil {
		return Event{}, err
	}
	event.Reason, _ = stringMember(members, "reason")
	if endedAt, err := stringMember(members, "endedAt"); err == nil {
		event.EndedAt, _ = time.Parse(time.RFC3339, endedAt)
	}
	return event, nil
}

// Validate says in what way the ID is not one that an event may carry.
func (id SessionID) Validate() error {
	switch {
	case id == "":
		return errors.New("sessionId is empty")
	case len(id) > MaxSessionIDLength:
		return fmt.Errorf("sessionId has %d bytes; at most %d are allowed", len(id), MaxSessionIDLength)
	case !utf8.ValidString(string(id)):
		return errors.New("sessionId is not valid UTF-8")
	case strings.ContainsFunc(string(id), unicode.IsControl):
		return errors.New("sessionId has a control character")
	// encoding/json puts this character where an escape names half a surrogate pair: the ID meant is not known.
	case strings.ContainsRune(string(id), utf8.RuneError):
		return errors.New("sessionId has an invalid Unicode escape or the replacement character U+FFFD")
	}
	return nil
}

// objectMembers splits a JSON object into its members. Names match exactly, unlike in encoding/json's structs, and a
// name that stands twice is refused, since parsers differ in which of the two they take.
func objectMembers(what string, payload []byte) (map[string]json.RawMessage, error) {
	switch {
	case len(payload) == 0:
		return nil, fmt.Errorf("%s is empty", what)
	case !utf8.Valid(payload):
		return nil, fmt.Errorf("%s is not valid UTF-8", what)
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	start, err := decoder.Token()
	if err != nil {
		return nil, notJSON(what, err)
	}
	if start != json.Delim('{') {
		return nil, fmt.Errorf("%s is JSON, but not an object", what)
	}
	members := map[string]json.RawMessage{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, notJSON(what, err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, notJSON(what, err)
		}
		key, _ := name.(string)
		if _, twice := members[key]; twice && needed(key) {
			return nil, fmt.Errorf("%s has %s twice", what, key)
		}
		members[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, notJSON(what, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s has something after its JSON object", what)
	}
	return members, nil
}

// needed reports whether a member decides which session is revoked where.
func needed(name string) bool {
	switch name {
	case "sessionId", "serviceId", "specversion", "type", "data", "data_base64":
		return true
	}
	return false
}

// notJSON drops the decoder's own words, which quote the payload.
func notJSON(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s is not valid JSON: it ends too early", what)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%s is not valid JSON at byte %d", what, syntax.Offset)
	}
	return fmt.Errorf("%s is not valid JSON", what)
}

// stringMember returns a member that must be a string; an absent or null one is empty.
func stringMember(members map[string]json.RawMessage, name string) (string, error) {
	raw := members[name]
	if raw == nil {
		return "", nil
	}
	if string(raw) == "null" {
		if name == "sessionId" {
			return "", errors.New("sessionId is null")
		}
		return "", nil
	}
	var value string
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return value, nil
}

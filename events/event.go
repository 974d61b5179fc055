package events

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
)

// Event says that an identity provider ended a session.
type Event struct {
	// SessionID is 1 to MaxSessionIDLength bytes without control characters.
	SessionID SessionID
	// ServiceID is the Authlete service that the session belongs to; empty for the configured one.
	ServiceID string
	// EndedAt is when the session ended; zero if the event does not say, or not as an RFC 3339 time.
	EndedAt time.Time
	// Reason is why the session ended, if the event says.
	Reason string
}

// plausibleBefore is how long before its publication an event may say that its session ended.
const plausibleBefore = 24 * time.Hour

// Ended is when the session ended, if the event says so and that is plausible: if it lies within the day before the publication. An
// event follows its session's end, so a later time comes from a clock that is ahead, or is made up. An earlier one rather tells of a
// lost event that is published again, or of a unit that was taken for another, and would hide what revoker and the queue took. The
// publication is the measure and not the present, so that the time that an event waits does not change whether its endedAt counts.
func (e Event) Ended(published time.Time) (at time.Time, plausible bool) {
	before := published.Sub(e.EndedAt)
	return e.EndedAt, !e.EndedAt.IsZero() && before >= 0 && before <= plausibleBefore
}

// Decode reads a message as an event: a JSON object, or a CloudEvents 1.0 event, structured or binary, whose data is such an
// object. Its errors are sentences for the dead letter. They say what is wrong and quote nothing of the message.
//
// What is needed to revoke the session is checked strictly. endedAt and reason are not needed, so a malformed one reads as
// absent: it must not keep a session alive. Unknown members are ignored.
func Decode(header nats.Header, payload []byte) (Event, error) {
	switch cloudEventMode(header) {
	case binaryMode:
		if err := checkBinary(header); err != nil {
			return Event{}, err
		}
	case structuredMode:
		return decodeStructured(withoutMark(payload))
	case batchMode:
		return Event{}, errors.New("the message is a batch of CloudEvents; publish one event a message")
	}
	return decodeObject("the payload", payload, true)
}

// decodeObject reads the event object itself; what names it in errors. A top-level object that is a structured
// CloudEvent without the header that says so is read as one, for publishers that cannot set headers.
func decodeObject(what string, payload []byte, top bool) (Event, error) {
	payload = withoutMark(payload)
	o, err := parseObject(what, payload)
	switch {
	case err != nil:
		return Event{}, err
	case o.sessionID == nil && o.specVersion != nil && top:
		return decodeStructured(payload)
	case o.sessionID == nil:
		return Event{}, fmt.Errorf("%s has no sessionId", what)
	case string(o.sessionID) == "null":
		return Event{}, errors.New("sessionId is null")
	}
	id, err := text("sessionId", o.sessionID)
	if err != nil {
		return Event{}, err
	}
	event := Event{SessionID: SessionID(id)}
	if err := event.SessionID.Validate(); err != nil {
		return Event{}, err
	}
	if event.ServiceID, err = text("serviceId", o.serviceID); err != nil {
		return Event{}, err
	}
	event.Reason, _ = text("reason", o.reason)
	if endedAt, err := text("endedAt", o.endedAt); err == nil && endedAt != "" {
		event.EndedAt, _ = time.Parse(time.RFC3339, endedAt)
	}
	return event, nil
}

// Validate says why an event may not carry the ID.
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

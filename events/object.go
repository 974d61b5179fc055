package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"revoker/events/jsonobject"
)

// object is the members of a JSON object that revoker knows, as they stand in the payload.
type object struct {
	sessionID, serviceID, endedAt, reason    []byte
	specVersion, eventType, data, dataBase64 []byte
}

// member returns where the member called name is kept, or nil for one that is not known.
func (o *object) member(name []byte) *[]byte {
	switch string(name) {
	case "sessionId":
		return &o.sessionID
	case "serviceId":
		return &o.serviceID
	case "endedAt":
		return &o.endedAt
	case "reason":
		return &o.reason
	case "specversion":
		return &o.specVersion
	case "type":
		return &o.eventType
	case "data":
		return &o.data
	case "data_base64":
		return &o.dataBase64
	}
	return nil
}

// parseObject splits a JSON object into its members; what names it in errors. A name that stands twice is refused, since
// parsers differ in which of the two they take.
func parseObject(what string, payload []byte) (object, error) {
	switch {
	case len(payload) == 0:
		return object{}, fmt.Errorf("%s is empty", what)
	case !utf8.Valid(payload):
		return object{}, fmt.Errorf("%s is not valid UTF-8", what)
	}
	var o object
	err := jsonobject.Walk(payload, func(name, value []byte) error {
		known := o.member(name)
		switch {
		case known == nil:
		case *known != nil:
			return fmt.Errorf("%s has %s twice", what, name)
		default:
			*known = value
		}
		return nil
	})
	switch err {
	case jsonobject.ErrInvalid:
		return object{}, notJSON(what, payload)
	case jsonobject.ErrNotObject:
		return object{}, fmt.Errorf("%s is JSON, but not an object", what)
	}
	return o, err
}

// notJSON says where the payload stops being JSON, without the decoder's own words, which quote it.
func notJSON(what string, payload []byte) error {
	var nothing json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal(payload, &nothing); !errors.As(err, &syntax) {
		return fmt.Errorf("%s is not valid JSON", what)
	}
	if syntax.Offset >= int64(len(payload)) {
		return fmt.Errorf("%s is not valid JSON: it ends too early", what)
	}
	return fmt.Errorf("%s is not valid JSON at byte %d", what, syntax.Offset)
}

// text reads an optional member; an absent or null one is empty.
func text(name string, value []byte) (string, error) {
	if value == nil || string(value) == "null" {
		return "", nil
	}
	s, err := jsonobject.Text(value)
	if err != nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return s, nil
}

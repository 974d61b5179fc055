package events

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"revoker/events/jsonobject"
)

// object is the members of a JSON object that revoker knows, as they stand in the payload.
type object struct {
	sessionID, serviceID, endedAt, reason    []byte
	specVersion, eventType, data, dataBase64 []byte
	id, source                               []byte
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

// attribute keeps what CloudEvents requires and a plain event may have for purposes of its own. Of two it takes the last: what is
// revoked does not depend on them.
func (o *object) attribute(name, value []byte) {
	switch string(name) {
	case "id":
		o.id = value
	case "source":
		o.source = value
	}
}

// byteOrderMark may stand before JSON. RFC 8259, section 8.1, lets a parser ignore it.
const byteOrderMark = "\ufeff"

func withoutMark(payload []byte) []byte { return bytes.TrimPrefix(payload, []byte(byteOrderMark)) }

// parseObject splits a JSON object into its members; what names it in errors. A name that stands twice is refused, since
// parsers differ in which of the two they take. A string that is not UTF-8 is refused where it is read, so that one that is
// not needed does no harm.
func parseObject(what string, payload []byte) (object, error) {
	if len(payload) == 0 {
		return object{}, fmt.Errorf("%s is empty", what)
	}
	var o object
	err := jsonobject.Walk(payload, func(name, value []byte) error {
		known := o.member(name)
		switch {
		case known == nil:
			o.attribute(name, value)
		case *known != nil:
			return fmt.Errorf("%s has %s twice", what, name)
		default:
			*known = value
		}
		return nil
	})
	switch {
	case errors.Is(err, jsonobject.ErrInvalid):
		return object{}, fmt.Errorf("%s is %w", what, err)
	case errors.Is(err, jsonobject.ErrNotObject):
		return object{}, fmt.Errorf("%s is JSON, but not an object", what)
	}
	return o, err
}

// text reads an optional member; an absent or null one is empty.
func text(name string, value []byte) (string, error) {
	if value == nil || string(value) == "null" {
		return "", nil
	}
	if !utf8.Valid(value) {
		return "", fmt.Errorf("%s is not valid UTF-8", name)
	}
	s, err := jsonobject.Text(value)
	if err != nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return s, nil
}

package events

import (
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"

	"revoker/events/jsonobject"
)

// The content modes of the NATS protocol binding for CloudEvents 1.0:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md#3-nats-message-mapping
type contentMode int

const (
	notCloudEvent contentMode = iota
	binaryMode
	structuredMode
	batchMode
)

const (
	attributePrefix    = "ce-"
	cloudEventsVersion = "1.0"
	cloudEventType     = "session.ended"

	structuredType = "application/cloudevents+json"
	batchType      = "application/cloudevents-batch+json"
)

// cloudEventMode tells the mode from the headers: from the content type, and where that names none, from the attributes.
// Header names are compared whatever their case, since publishers reach NATS by bridges from HTTP.
func cloudEventMode(header nats.Header) contentMode {
	mode := notCloudEvent
	for name, values := range header {
		switch {
		case strings.EqualFold(name, attributePrefix+"specversion"):
			mode = binaryMode
		case strings.EqualFold(name, "content-type") && len(values) > 0:
			switch mediaType, _, _ := mime.ParseMediaType(values[0]); {
			case strings.HasPrefix(mediaType, batchType):
				return batchMode
			case strings.HasPrefix(mediaType, structuredType):
				return structuredMode
			}
		}
	}
	return mode
}

// checkBinary checks the attributes of a binary mode event; its data is the payload.
func checkBinary(header nats.Header) error {
	attributes := map[string]string{}
	for name, values := range header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, attributePrefix) && len(values) > 0 {
			attributes[strings.TrimPrefix(lower, attributePrefix)] = values[0]
		}
	}
	if err := checkVersionAndType(attributes["specversion"], attributes["type"]); err != nil {
		return err
	}
	return checkIDAndSource(attributes["id"], attributes["source"])
}

// decodeStructured reads a structured mode event: attributes and data in one JSON object, as the JSON format says:
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
//
// The official SDK is not used. It brings json-iterator, which nobody maintains any more, and which keeps the linker from leaving
// out any exported method: the program was 5 MB larger. FuzzStructuredAgreesWithTheSDK holds that what the SDK reads is read alike.
func decodeStructured(payload []byte) (Event, error) {
	const what = "the CloudEvent"
	o, err := parseObject(what, payload)
	if err != nil {
		return Event{}, err
	}
	version, err := text("specversion", o.specVersion)
	if err != nil {
		return Event{}, err
	}
	eventType, err := text("type", o.eventType)
	if err != nil {
		return Event{}, err
	}
	if err := checkVersionAndType(version, eventType); err != nil {
		return Event{}, err
	}
	id, _ := jsonobject.Text(o.id) // what is not a string reads as absent
	source, _ := jsonobject.Text(o.source)
	if err := checkIDAndSource(id, source); err != nil {
		return Event{}, err
	}
	data, err := structuredData(o)
	if err != nil {
		return Event{}, err
	}
	return decodeObject("the CloudEvent's data", data, false)
}

// structuredData returns the data of a structured mode event. Data that are not declared to be JSON are the text of a string. A string
// is read that way whatever is declared, since no event is a string itself.
func structuredData(o object) ([]byte, error) {
	switch inText, inBase64 := present(o.data), present(o.dataBase64); {
	case inText && inBase64:
		return nil, errors.New("the CloudEvent has both data and data_base64")
	case inBase64:
		encoded, err := jsonobject.Text(o.dataBase64)
		if err != nil {
			return nil, errors.New("the CloudEvent's data_base64 is not a string")
		}
		data, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, errors.New("the CloudEvent's data_base64 is not base64")
		}
		return data, nil
	case inText && o.data[0] == '"':
		data, err := jsonobject.Text(o.data)
		if err != nil {
			return nil, errors.New("the CloudEvent's data can't be read")
		}
		return []byte(data), nil
	}
	return o.data, nil
}

func present(value []byte) bool { return value != nil && string(value) != "null" }

func checkVersionAndType(version, eventType string) error {
	switch {
	case version == "":
		return errors.New("the CloudEvent has no specversion")
	case version != cloudEventsVersion:
		return fmt.Errorf("the CloudEvent is not of version %s", cloudEventsVersion)
	case eventType != cloudEventType:
		return fmt.Errorf("the CloudEvent is not of type %s", cloudEventType)
	}
	return nil
}

// checkIDAndSource checks the other attributes that an event must have. The optional ones are not needed to revoke the session, so a
// malformed one does no harm.
func checkIDAndSource(id, source string) error {
	if id == "" {
		return errors.New("the CloudEvent's id is missing or malformed")
	}
	if _, err := url.Parse(source); err != nil || source == "" { // a URI reference, by the specification
		return errors.New("the CloudEvent's source is missing or malformed")
	}
	return nil
}

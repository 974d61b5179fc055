package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
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
	attributePrefix = "ce-"
	cloudEventType  = "session.ended"
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
			case strings.HasPrefix(mediaType, cloudevents.ApplicationCloudEventsBatchJSON):
				return batchMode
			case strings.HasPrefix(mediaType, cloudevents.ApplicationCloudEventsJSON):
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
	event := cloudevents.New(cloudevents.CloudEventsVersionV1)
	event.SetID(attributes["id"])
	event.SetSource(attributes["source"])
	event.SetType(attributes["type"])
	return checkAttributes(event)
}

// decodeStructured reads a structured mode event: attributes and data in one JSON object.
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
	var event cloudevents.Event
	if err := json.Unmarshal(payload, &event); err != nil {
		return Event{}, errors.New("the CloudEvent's attributes or data can't be read") // the SDK's words quote them
	}
	if err := checkAttributes(event); err != nil {
		return Event{}, err
	}
	return decodeObject("the CloudEvent's data", event.Data(), false)
}

func checkVersionAndType(version, eventType string) error {
	switch {
	case version == "":
		return errors.New("the CloudEvent has no specversion")
	case version != cloudevents.CloudEventsVersionV1:
		return fmt.Errorf("the CloudEvent is not of version %s", cloudevents.CloudEventsVersionV1)
	case eventType != cloudEventType:
		return fmt.Errorf("the CloudEvent is not of type %s", cloudEventType)
	}
	return nil
}

func checkAttributes(event cloudevents.Event) error {
	var invalid cloudevents.ValidationError
	switch err := event.Validate(); {
	case errors.As(err, &invalid):
		for _, attribute := range []string{"id", "source", "type", "time", "dataschema", "datacontenttype"} {
			if invalid[attribute] != nil {
				return fmt.Errorf("the CloudEvent's %s is missing or malformed", attribute)
			}
		}
		fallthrough
	case err != nil:
		return errors.New("the CloudEvent's attributes are missing or malformed")
	}
	return nil
}

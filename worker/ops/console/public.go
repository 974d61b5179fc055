package console

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/events/dlq"
	"revoker/worker"
	"revoker/worker/authlete"
)

// This file builds what a visitor sees of a dead letter, from facts whose form is known. A visitor is somebody who is not signed
// in. Nothing is copied from the letter's text, not even masked. A session ID can stand anywhere in it: escaped in JSON, in
// base64, in another member or in a header. A search for the ID would miss it.

// otherText replaces a reason or a result code whose form is not known.
const otherText = "(other)"

// codeForm is the form of the API's result codes, A503001 for example.
var codeForm = regexp.MustCompile(`^[A-Z]{1,3}[0-9]{1,9}$`)

func publicCode(code string) string {
	if code == "" || codeForm.MatchString(code) {
		return code
	}
	return otherText
}

func publicReason(reason string) string {
	switch reason {
	case "", events.ReasonCallerError, events.ReasonInvalidEvent, events.ReasonRetriesExhausted:
		return reason
	}
	return otherText
}

// publicAnswer describes the API's answer.
func publicAnswer(action authlete.Action, status int, code string) string {
	answer := fmt.Sprintf("HTTP %d", status)
	if code = publicCode(code); code != "" {
		answer += ", " + code
	}
	switch action {
	case "":
		return fmt.Sprintf("the answer has no action (%s)", answer)
	case authlete.ActionOK, authlete.ActionServerError, authlete.ActionCallerError:
		return fmt.Sprintf("the logout API answered %s (%s)", action, answer)
	}
	return fmt.Sprintf("the logout API answered an unknown action (%s)", answer)
}

// publicError says why an event is a dead letter. For an invalid event it decodes the event again, because the errors of
// events.Decode quote nothing of it.
func publicError(l dlq.StoredLetter, cfg config.Config) string {
	switch l.Reason {
	case events.ReasonCallerError:
		return publicAnswer(authlete.ActionCallerError, l.HTTPStatus, l.ResultCode)
	case events.ReasonRetriesExhausted:
		if l.HTTPStatus == 0 {
			return "every attempt failed, the last one without an answer"
		}
		return fmt.Sprintf("every attempt failed, the last one with HTTP %d", l.HTTPStatus)
	case events.ReasonInvalidEvent:
	default:
		return ""
	}
	if l.PayloadOmitted > 0 {
		return "the payload did not fit into the dead letter"
	}
	event, err := events.Decode(l.Header, l.Payload)
	switch {
	case err != nil:
		return err.Error()
	case !ownService(event.ServiceID, cfg):
		return "serviceId is not AUTHLETE_SERVICE_ID and not in REVOKER_ALLOWED_SERVICE_IDS"
	}
	return "this worker would take the event"
}

// briefError is what publicError says beyond the reason and the result code.
func briefError(l dlq.StoredLetter, cfg config.Config) string {
	switch {
	case l.Reason == events.ReasonRetriesExhausted && l.HTTPStatus == 0:
		return "no answer to the last attempt"
	case l.Reason == events.ReasonRetriesExhausted:
		return fmt.Sprintf("HTTP %d to the last attempt", l.HTTPStatus)
	case l.Reason == events.ReasonCallerError:
		return fmt.Sprintf("HTTP %d", l.HTTPStatus)
	}
	return publicError(l, cfg)
}

// briefAnswer is publicAnswer for one line.
func briefAnswer(action authlete.Action, status int, code string) string {
	said := "no action"
	switch action {
	case "":
	case authlete.ActionOK, authlete.ActionServerError, authlete.ActionCallerError:
		said = string(action)
	default:
		said = "an unknown action"
	}
	said += fmt.Sprintf(", HTTP %d", status)
	if code = publicCode(code); code != "" {
		said += ", " + code
	}
	return said
}

// ownService reports whether an event may name the service. An event that names none belongs to AUTHLETE_SERVICE_ID.
func ownService(id string, cfg config.Config) bool {
	return id == "" || id == cfg.API.ServiceID || slices.Contains(cfg.API.AllowedServiceIDs, id)
}

// publicEvent holds the known members of an event.
type publicEvent struct {
	Session   string     `json:"session"`             // masked
	ServiceID string     `json:"serviceId,omitempty"` // only if it is configured
	EndedAt   *time.Time `json:"endedAt,omitempty"`
}

// publicEventOf returns nil if the event can't be decoded.
func publicEventOf(l dlq.StoredLetter, cfg config.Config) *publicEvent {
	event, err := events.Decode(l.Header, l.Payload)
	if err != nil {
		return nil
	}
	shown := &publicEvent{Session: event.SessionID.Mask()}
	if ownService(event.ServiceID, cfg) {
		shown.ServiceID = event.ServiceID
	}
	if !event.EndedAt.IsZero() {
		endedAt := event.EndedAt.UTC()
		shown.EndedAt = &endedAt
	}
	return shown
}

// publicOrigin leaves out the message ID, which the publisher chose, and names that are not the configured ones.
func publicOrigin(o dlq.Origin, cfg config.Config) dlq.Origin {
	known := func(text string, configured ...string) string {
		if slices.Contains(configured, text) {
			return text
		}
		return ""
	}
	o.Stream, o.Consumer = known(o.Stream, cfg.Stream), known(o.Consumer, cfg.Consumer, cfg.BulkConsumer)
	o.Subject = known(o.Subject, cfg.Subject, cfg.BulkSubject)
	o.MessageID = ""
	return o
}

// publicDetail says in one line what went wrong with one settlement. If no answer came, or if the letter could not be stored, the text is
// revoker's own.
func publicDetail(s worker.Settlement) string {
	if s.Status == 0 || s.LetterFailed || s.Detail == "" {
		return s.Detail
	}
	return briefAnswer(s.Action, s.Status, s.ResultCode)
}

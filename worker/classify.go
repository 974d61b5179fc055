package worker

import (
	"net/http"

	"revoker/events"
	"revoker/worker/authlete"
)

// Outcome is the result of one delivery. It decides how the delivery is settled.
type Outcome string

// The outcomes, with the settlement of each.
const (
	// Revoked: the API said OK. Acknowledged.
	Revoked Outcome = "revoked"
	// Retry: the attempt failed, and a later one may not. Handed back with a delay.
	Retry Outcome = "retry"
	// RetriesExhausted: a Retry for which the event itself is at fault. Dead letter.
	RetriesExhausted Outcome = "retries_exhausted"
	// CallerError: the API said that the call has a problem. Dead letter.
	CallerError Outcome = "caller_error"
	// Invalid: the message is not an event that can be acted on. The API was not called. Dead letter.
	Invalid Outcome = "invalid"
	// Misconfigured: the API was not reached because of the token, the service or the URL. Handed back with a delay,
	// however often: it is the operator's fault, not the event's.
	Misconfigured Outcome = "misconfigured"
	// Interrupted: shutdown cut the call short. Handed back at once.
	Interrupted Outcome = "interrupted"
	// Deferred: the API was not called, since calls are paused. Handed back until they are not.
	Deferred Outcome = "deferred"
)

// Outcomes are all of them.
var Outcomes = []Outcome{Revoked, Retry, RetriesExhausted, CallerError, Invalid, Misconfigured, Interrupted, Deferred}

// Reason is the reason of the dead letter that the outcome is settled by, empty for the others.
func (o Outcome) Reason() string {
	switch o {
	case CallerError:
		return events.ReasonCallerError
	case Invalid:
		return events.ReasonInvalidEvent
	case RetriesExhausted:
		return events.ReasonRetriesExhausted
	}
	return ""
}

// Classify decides the outcome of one call. The action decides where there is one. Where there is none, the API itself was
// not reached, and the status tells whether that is the configuration's fault; anything else may pass, a 400 included,
// for a gateway's 400 would condemn a whole queue. interrupted says that shutdown cancelled the call.
func Classify(response authlete.Response, err error, interrupted bool) Outcome {
	success := response.Status >= 200 && response.Status <= 299
	switch response.Action {
	case authlete.ActionOK:
		if success {
			return Revoked
		}
		return Retry
	case authlete.ActionServerError:
		return Retry
	case authlete.ActionCallerError:
		return CallerError
	}
	switch {
	case err != nil && interrupted:
		return Interrupted
	case response.Status >= 300 && response.Status <= 399:
		return Misconfigured
	}
	switch response.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		return Misconfigured
	}
	return Retry
}

// Suspect names the variables to look at for a Misconfigured status. service is the one that named the service.
func Suspect(status int, service string) string {
	switch status {
	case http.StatusUnauthorized:
		return "AUTHLETE_BEARER or AUTHLETE_BEARER_FILE"
	case http.StatusForbidden:
		return "AUTHLETE_BEARER or AUTHLETE_BEARER_FILE, or " + service
	case http.StatusNotFound:
		return service + ", or AUTHLETE_BASE_URL"
	}
	return "AUTHLETE_BASE_URL"
}

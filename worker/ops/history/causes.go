package history

import (
	"revoker/events"
	"revoker/worker"
	"revoker/worker/authlete"
)

const tooManyRequests = 429 // an HTTP status

// cause is why a session was not revoked, yet or for good.
type cause int

const (
	callerError cause = iota
	invalidEvent
	retriesExhausted
	serverError
	noAnswer
	throttled
	otherAnswer
	misconfigured
	notStored
	causes       // how many there are
	none   cause = -1
)

// Causes names the causes in a step, dead letters first. No text of the API is in them.
var Causes = [causes]string{
	events.ReasonCallerError, events.ReasonInvalidEvent, events.ReasonRetriesExhausted,
	"SERVER_ERROR", "no answer", "throttled", "other answer", "misconfigured", "not stored",
}

// causeOf returns none for a revoked session, and for an event that was handed back without a call.
func causeOf(s worker.Settlement) cause {
	switch {
	case s.Outcome == worker.CallerError:
		return callerError
	case s.Outcome == worker.Invalid:
		return invalidEvent
	case s.Outcome == worker.RetriesExhausted:
		return retriesExhausted
	case s.Outcome == worker.Misconfigured:
		return misconfigured
	case s.Outcome != worker.Retry:
		return none
	case s.LetterFailed || s.ReceiptFailed:
		return notStored
	case s.Action == authlete.ActionServerError:
		return serverError
	case s.Status == 0:
		return noAnswer
	case s.Status == tooManyRequests:
		return throttled
	}
	return otherAnswer
}

// failures are the counts that are not 0, by name; nil if there are none.
func failures(counts [causes]int) map[string]int {
	var list map[string]int
	for cause, n := range counts {
		if n > 0 {
			if list == nil {
				list = map[string]int{}
			}
			list[Causes[cause]] = n
		}
	}
	return list
}

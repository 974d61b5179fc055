package worker

import (
	"time"

	"revoker/events"
)

// toRevoked is the time that a session's tokens outlived the session: from its end, where the event tells a plausible one, or else from
// the event's publication, to the API's answer. It is never negative.
func toRevoked(event events.Event, published, answered time.Time) time.Duration {
	from := published
	if ended, plausible := event.Ended(published); plausible {
		from = ended
	}
	return max(answered.Sub(from), 0)
}

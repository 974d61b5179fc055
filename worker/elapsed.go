package worker

import "time"

// plausibleBefore is how long before its publication an event may say that its session ended.
const plausibleBefore = 24 * time.Hour

// toRevoked is the time that a session's tokens outlived the session: from endedAt where that is plausible, or else from the
// event's publication, to the API's answer. It is never negative.
//
// Plausible is what lies within the day before the publication. An event follows its session's end, so a later endedAt comes from a
// clock that is ahead, or is made up. An earlier one rather tells of a lost event that is published again, or of a unit that was
// taken for another, and would hide what revoker and the queue took. The publication is the measure and not the present, so that the
// time that an event waits does not change whether its endedAt counts.
func toRevoked(endedAt, published, answered time.Time) time.Duration {
	from := published
	if before := published.Sub(endedAt); !endedAt.IsZero() && before >= 0 && before <= plausibleBefore {
		from = endedAt
	}
	return max(answered.Sub(from), 0)
}

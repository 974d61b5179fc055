package peer

import (
	"fmt"
	"time"
)

// StepSeconds is how many seconds a [Step] covers. Steps begin at multiples of it in Unix time, so that the steps of several workers
// fall together.
const StepSeconds = 5

// History is what a worker did in the last 15 minutes at most, oldest first. It has only steps that are over.
type History struct {
	// Now is the worker's clock. The reader's may differ.
	Now   time.Time `json:"now"`
	Steps []Step    `json:"steps"`
}

// Step is what a worker did within [StepSeconds]. The steps of several workers add up: it has counts and no quantiles.
type Step struct {
	Time int64 `json:"t"` // Unix seconds
	// Revoked counts revoked sessions, and Failed the other calls and dead letters, by cause.
	Revoked int            `json:"revoked,omitempty"`
	Failed  map[string]int `json:"failed,omitempty"`
	// Calls is how many calls ended, and Busy how many seconds they took together. Took counts them by duration.
	Calls int       `json:"calls,omitempty"`
	Busy  float64   `json:"busy,omitempty"`
	Took  Histogram `json:"took,omitempty"`
	// Live and Bulk count the revocations of the lanes by the time to revoked.
	Live Histogram `json:"live,omitempty"`
	Bulk Histogram `json:"bulk,omitempty"`
	// Limit is how many calls could be in flight at the end of the step, nil where it is not known. Rate is how many the API was found
	// to allow in a second, 0 while no limit was met.
	Limit *int    `json:"limit,omitempty"`
	Rate  float64 `json:"rate,omitempty"`
	// LiveBacklog and BulkBacklog are how many events of the lane were never delivered, to any worker; nil where it is not known.
	LiveBacklog *int `json:"liveBacklog,omitempty"`
	BulkBacklog *int `json:"bulkBacklog,omitempty"`
}

// Histogram counts durations by bucket: pairs of a bucket's number and its count, without empty buckets. There are 16 buckets for each
// doubling of the duration, and bucket 0 begins at one microsecond.
type Histogram []int

// HistoryOf is the payload of a request to the workers for the steps of the last seconds, by the clock of each. A worker that does not
// know it only answers with its state.
func HistoryOf(seconds int) string { return fmt.Sprintf("history %d", seconds) }

// askedHistory reads a [HistoryOf] request.
func askedHistory(request string) (seconds int, ok bool) {
	n, _ := fmt.Sscanf(request, "history %d", &seconds)
	return seconds, n == 1
}

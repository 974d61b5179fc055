package events

import (
	"github.com/nats-io/nats.go"

	"revoker/config"
)

// SourceHeader is the header that says from where an event came. It begins with neither Nats- nor Revoker-, so that a dead letter keeps
// it, and an event that is replayed has it again.
const SourceHeader = "Session-Source"

// Source is the source that a message names, or empty for none. It is fit for a label of a metric, except that anyone who may publish
// can make names up: whoever counts by it must bound how many.
func Source(header nats.Header) string {
	if values := header[SourceHeader]; len(values) > 0 && config.SourceName.MatchString(values[0]) {
		return values[0]
	}
	return ""
}

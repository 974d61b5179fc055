// Package events owns the way of an event through JetStream: the event itself, the streams and the consumer that hold it, its
// deliveries, the dead letter that it may become, and publishing.
//
// In the order in which a reader meets them:
//
//   - the event: event.go decodes a message, with object.go for its members and cloudevent.go for CloudEvents; encode.go is the
//     way back; session.go masks session IDs.
//   - the way in: ensure.go is what `revoker run` begins with; pull.go asks for deliveries, and watchdog.go notices pulls that
//     stall; delivery.go settles a delivery; peek.go looks at stored events that are not delivered.
//   - the way out: deadletter.go writes dead letters; answer.go lets a worker be asked for its state.
//   - publishing: publish.go publishes one event at a time, bulk.go many.
//   - changing what exists: plan.go compares streams and consumer with the configuration by the rules of compare.go and
//     difference.go, and advice.go says what to do about the rest.
//
// Other rooms: revoker/events/dlq reads, replays and deletes dead letters. revoker/events/admin checks, watches and pauses.
// revoker/events/internal/conn is the connection that all three share.
package events

import (
	"log/slog"

	"revoker/config"
	"revoker/events/internal/conn"
)

// Conn is a connection to NATS with its JetStream settings. It is safe for concurrent use.
type Conn = conn.Conn

// Connect connects as the configuration says. It reconnects for ever, even after an authentication error, since credentials
// are renewed. With wait it returns at once, even if the server cannot be reached yet; [Conn.AwaitConnected] waits for the
// server. Without wait it fails in that case. The error quotes no secret.
func Connect(cfg config.NATS, name string, log *slog.Logger, wait bool) (*Conn, error) {
	return conn.Connect(cfg, name, log, wait)
}

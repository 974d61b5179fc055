// Package events owns the way of an event through JetStream. Its files, in a reader's order:
//
//   - the event: event.go, object.go, cloudevent.go, session.go; encode.go is the way back
//   - what a worker takes: ensure.go, which `revoker run` begins with, pull.go, watchdog.go, delivery.go; peek.go
//   - what a worker gives: deadletter.go, receipt.go with receiptevent.go
//   - publishing: publish.go, bulk.go, resend.go
//   - the lanes, live and bulk: lane.go
//   - changing streams and consumers: plan.go, compare.go, difference.go, advice.go
//
// The rooms in it: dlq reads, replays and deletes dead letters; admin checks, watches and pauses; sessions finds out what became of
// one session; peer is what a worker tells of itself; internal/conn is the connection
// that all of them share.
package events

import (
	"log/slog"

	"revoker/config"
	"revoker/events/internal/conn"
)

// Conn is a connection to NATS with its JetStream settings. It is safe for concurrent use.
type Conn = conn.Conn

// ErrDenied marks a request that the account's permissions forbid.
var ErrDenied = conn.ErrDenied

// ConnectError is why [Connect] failed: what happened, and what to do about it.
type ConnectError = conn.ConnectError

// Connect connects as the configuration says. It reconnects for ever, even after an authentication error, since credentials
// are renewed. With wait it returns at once, even if the server cannot be reached yet; [Conn.AwaitConnected] waits for the
// server. Without wait it fails in that case. The error quotes no secret.
func Connect(cfg config.NATS, name string, log *slog.Logger, wait bool) (*Conn, error) {
	return conn.Connect(cfg, name, log, wait)
}

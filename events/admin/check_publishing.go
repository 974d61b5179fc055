package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/conn"
)

// CheckPublishing looks at all that a publisher needs of NATS: the server, and a stream that stores the events' subject. It asks for
// nothing that only a worker may. It stores nothing, but plain subscribers of the subject see an empty message.
func CheckPublishing(ctx context.Context, conn *events.Conn, cfg config.Config) Findings {
	c := &check{conn: conn, cfg: cfg}
	c.checkServer()
	c.checkStoredBy(ctx, "permission to publish", cfg.Subject, cfg.Stream, "REVOKER_STREAM or REVOKER_SUBJECT")
	return c.Findings
}

// checkStoredBy publishes a message for another stream to a subject, whose stream refuses it and says so itself. It reports whether
// that is the stream that it should be. variables name both.
func (c *check) checkStoredBy(ctx context.Context, name, subject, stream, variables string) bool {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	probe := &nats.Msg{Subject: subject, Header: nats.Header{
		jetstream.ExpectedStreamHeader: {"revoker-check-of-" + stream}, headerCheck: {"nothing is to be stored"},
	}}
	answer, err := c.conn.Probe(ctx, probe)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		c.Add(Failed, name, "no stream stores "+subject, "`revoker setup` adds the subject")
		return false
	case err != nil:
		c.Add(Failed, name, err.Error(), remedy(err, "look at the server's log"))
		return false
	}
	if storing := storingStream(answer.Data); storing != stream {
		c.Add(Failed, name, fmt.Sprintf("%s is stored by stream %s, not %s", subject, events.OneLine(storing), stream),
			"change "+variables+", or that stream's subjects")
		return false
	}
	if failure := conn.APIError(answer.Data); failure == nil || failure.ErrorCode != events.ErrorWrongStream {
		c.Add(Failed, name, stream+" answers: "+describe(failure), noRoom)
		return false
	}
	c.Add(OK, name, subject+" is stored by "+stream, "")
	return true
}

package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/conn"
)

// noRoom is what to do where the dead-letter stream takes nothing in. No event is lost meanwhile: it stays in its own stream.
const noRoom = "make room (`revoker dlq rm`, a larger limit of the stream or the account, the server's disk); a server that met a full disk" +
	" refuses writes until it is restarted"

// letterRoom is what a dead letter takes at least with its headers, in bytes.
const letterRoom = 2 << 10

// headerCheck marks the message by which Check tries a subject.
const headerCheck = "Revoker-Check"

// checkDeadLetters tries the dead-letter subject, and looks at its stream.
func (c *check) checkDeadLetters(ctx context.Context, exists bool) {
	const publishing = "permission to dead-letter"
	if !exists {
		c.Add(Skipped, publishing, "there is no dead-letter stream yet", "")
		return
	}
	if !c.checkStoredBy(ctx, publishing, c.cfg.DeadLetterSubject, c.cfg.DeadLetterStream, "REVOKER_DEAD_LETTER_STREAM or REVOKER_DEAD_LETTER_SUBJECT") {
		return
	}
	c.checkRoom(ctx)
	c.checkMessageIDs(ctx)
}

// checkMessageIDs looks at the windows in which an event, or a dead letter, that is published twice is stored once.
func (c *check) checkMessageIDs(ctx context.Context) {
	const name = "message ID windows"
	var windows []string
	state, remedy := OK, ""
	for _, want := range []jetstream.StreamConfig{events.EventStream(c.cfg), events.DeadLetterStream(c.cfg)} {
		stream, err := c.conn.JetStream().Stream(ctx, want.Name)
		if err != nil {
			continue // it is missing, which was said
		}
		have := stream.CachedInfo().Config.Duplicates
		windows = append(windows, fmt.Sprintf("%s %s", want.Name, have))
		if have < want.Duplicates {
			state, remedy = Warning, "what is published again later, after a crash for example, is stored twice; `revoker setup` makes it longer"
		}
	}
	c.Add(state, name, strings.Join(windows, ", "), remedy)
}

func describe(failure *jetstream.APIError) string {
	if failure == nil {
		return "it stored what it should have refused"
	}
	return events.OneLine(failure.Description)
}

// checkRoom looks whether the dead-letter stream has reached its limits. What fails for the server, its disk for example, is
// seen by storing alone.
func (c *check) checkRoom(ctx context.Context) {
	const name = "room for dead letters"
	stream, err := c.conn.JetStream().Stream(ctx, c.cfg.DeadLetterStream)
	if err != nil {
		c.Add(Failed, name, err.Error(), "look at the server's log")
		return
	}
	limits, state := stream.CachedInfo().Config, stream.CachedInfo().State
	full := limits.MaxMsgs > 0 && state.Msgs >= uint64(limits.MaxMsgs) || limits.MaxBytes > 0 && state.Bytes+letterRoom > uint64(limits.MaxBytes)
	detail := fmt.Sprintf("%d messages, %d bytes", state.Msgs, state.Bytes)
	if state.Msgs == 1 {
		detail = fmt.Sprintf("1 message, %d bytes", state.Bytes)
	}
	if full && limits.Discard == jetstream.DiscardNew { // one that drops its oldest is a difference of the stream, which was said
		c.Add(Failed, name, detail+"; the stream is full", noRoom)
		return
	}
	c.Add(OK, name, detail+"; --dead-letter tells whether the server can write", "")
}

// checkStoring stores a dead letter and deletes it.
func (c *check) checkStoring(ctx context.Context) Finding {
	f := Finding{Name: "storing a dead letter", State: Failed, Remedy: noRoom}
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	letter := &nats.Msg{Subject: c.cfg.DeadLetterSubject, Header: nats.Header{headerCheck: {"stored to see whether it can be"}}}
	ack, err := c.conn.JetStream().PublishMsg(ctx, letter, jetstream.WithExpectStream(c.cfg.DeadLetterStream))
	if err != nil {
		f.Detail = c.conn.ExplainPublish("publishing to "+c.cfg.DeadLetterSubject, c.cfg.DeadLetterSubject, err).Error()
		return f
	}
	request := "STREAM.MSG.DELETE." + c.cfg.DeadLetterStream
	c.conn.IgnoreSubjects(c.conn.API(request))
	answer, err := c.conn.ProbeAPI(ctx, request, fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, ack.Sequence))
	if err == nil {
		if failure := conn.APIError(answer.Data); failure != nil {
			err = failure
		}
	}
	if err != nil {
		f.State, f.Detail = Warning, fmt.Sprintf("%s is stored, and could not be deleted: %v", events.LetterName(c.cfg.DeadLetterStream, ack.Sequence), err)
		f.Remedy = fmt.Sprintf("`revoker dlq rm %d` with an account that may", ack.Sequence)
		return f
	}
	f.State, f.Detail, f.Remedy = OK, "one was stored, and deleted", ""
	return f
}

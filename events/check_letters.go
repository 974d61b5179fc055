package events

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// noRoom is what to do where the dead-letter stream takes nothing in. No event is lost meanwhile: it stays in its own stream.
const noRoom = "make room (`revoker dlq rm`, a larger limit of the stream or the account, the server's disk); a server that met a full disk" +
	" refuses writes until it is restarted"

// letterRoom is what a dead letter takes at least with its headers, in bytes.
const letterRoom = 2 << 10

// HeaderCheck marks the message by which Check tries the dead-letter subject.
const HeaderCheck = "Revoker-Check"

// checkDeadLetters publishes a message for another stream to the dead-letter subject: the stream refuses it, and says so
// itself.
func (c *Conn) checkDeadLetters(ctx context.Context, cfg config.Config, there bool, list *Findings) {
	const publishing = "permission to dead-letter"
	if !there {
		list.Add(Skipped, publishing, "there is no dead-letter stream yet", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	probe := &nats.Msg{Subject: cfg.DeadLetterSubject, Header: nats.Header{
		jetstream.ExpectedStreamHeader: {"revoker-check-of-" + cfg.DeadLetterStream}, HeaderCheck: {"nothing is to be stored"},
	}}
	answer, err := c.probe(ctx, probe)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		list.Add(Failed, publishing, "no stream stores "+cfg.DeadLetterSubject, "`revoker setup` adds the subject")
		return
	case err != nil:
		list.Add(Failed, publishing, err.Error(), c.remedy(err, "look at the server's log"))
		return
	}
	if stream := answeringStream(answer.Data); stream != cfg.DeadLetterStream {
		list.Add(Failed, publishing,
			fmt.Sprintf("%s is stored by stream %s, not %s", cfg.DeadLetterSubject, OneLine(stream), cfg.DeadLetterStream),
			"change REVOKER_DEAD_LETTER_STREAM or REVOKER_DEAD_LETTER_SUBJECT, or that stream's subjects")
		return
	}
	if failure := apiError(answer.Data); failure == nil || failure.ErrorCode != errorWrongStream {
		list.Add(Failed, publishing, cfg.DeadLetterStream+" answers: "+describe(failure), noRoom)
		return
	}
	list.Add(OK, publishing, cfg.DeadLetterSubject+" is stored by "+cfg.DeadLetterStream, "")
	c.checkRoom(ctx, cfg, list)
	c.checkMessageIDs(ctx, cfg, list)
}

// checkMessageIDs looks at the windows in which an event, or a dead letter, that is published twice is stored once.
func (c *Conn) checkMessageIDs(ctx context.Context, cfg config.Config, list *Findings) {
	const name = "message ID windows"
	var windows []string
	state, remedy := OK, ""
	for _, want := range []jetstream.StreamConfig{eventStream(cfg), deadLetterStream(cfg)} {
		stream, err := c.js.Stream(ctx, want.Name)
		if err != nil {
			continue // it is missing, which was said
		}
		have := stream.CachedInfo().Config.Duplicates
		windows = append(windows, fmt.Sprintf("%s %s", want.Name, have))
		if have < want.Duplicates {
			state, remedy = Warning, "what is published again later, after a crash for example, is stored twice; `revoker setup` makes it longer"
		}
	}
	list.Add(state, name, strings.Join(windows, ", "), remedy)
}

func describe(failure *jetstream.APIError) string {
	if failure == nil {
		return "it stored what it should have refused"
	}
	return OneLine(failure.Description)
}

// checkRoom looks whether the dead-letter stream has reached its limits. What fails for the server, its disk for example, is
// seen by storing alone.
func (c *Conn) checkRoom(ctx context.Context, cfg config.Config, list *Findings) {
	const name = "room for dead letters"
	stream, err := c.js.Stream(ctx, cfg.DeadLetterStream)
	if err != nil {
		list.Add(Failed, name, err.Error(), "look at the server's log")
		return
	}
	limits, state := stream.CachedInfo().Config, stream.CachedInfo().State
	full := limits.MaxMsgs > 0 && state.Msgs >= uint64(limits.MaxMsgs) || limits.MaxBytes > 0 && state.Bytes+letterRoom > uint64(limits.MaxBytes)
	detail := fmt.Sprintf("%d messages, %d bytes", state.Msgs, state.Bytes)
	if full && limits.Discard == jetstream.DiscardNew { // one that drops its oldest is a difference of the stream, which was said
		list.Add(Failed, name, detail+"; the stream is full", noRoom)
		return
	}
	list.Add(OK, name, detail+"; --dead-letter tells whether the server can write", "")
}

// checkStoring stores a dead letter and deletes it.
func (c *Conn) checkStoring(ctx context.Context, cfg config.Config) Finding {
	f := Finding{Name: "storing a dead letter", State: Failed, Remedy: noRoom}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	letter := &nats.Msg{Subject: cfg.DeadLetterSubject, Header: nats.Header{HeaderCheck: {"stored to see whether it can be"}}}
	ack, err := c.js.PublishMsg(ctx, letter, jetstream.WithExpectStream(cfg.DeadLetterStream))
	if err != nil {
		f.Detail = c.explainPublish("publishing to "+cfg.DeadLetterSubject, cfg.DeadLetterSubject, err).Error()
		return f
	}
	request := c.api + "STREAM.MSG.DELETE." + cfg.DeadLetterStream
	c.tolerate(request)
	answer, err := c.probeFor(ctx, request, fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, ack.Sequence))
	if err == nil {
		if failure := apiError(answer.Data); failure != nil {
			err = failure
		}
	}
	if err != nil {
		f.State, f.Detail = Warning, fmt.Sprintf("%s is stored, and could not be deleted: %v", letterName(cfg.DeadLetterStream, ack.Sequence), err)
		f.Remedy = fmt.Sprintf("`revoker dlq rm %d` with an account that may", ack.Sequence)
		return f
	}
	f.State, f.Detail, f.Remedy = OK, "one was stored, and deleted", ""
	return f
}

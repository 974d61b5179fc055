package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/conn"
)

// checkPulling tries whether the account may pull. The server refuses the request, so that it takes no event from a worker.
func (c *check) checkPulling(ctx context.Context, exists bool) {
	const name = "permission to pull"
	request := "CONSUMER.MSG.NEXT." + c.cfg.Stream + "." + c.cfg.Consumer
	if !exists {
		c.Add(Skipped, name, "there is no consumer yet", "")
	} else if _, err := c.conn.ProbeAPI(ctx, request, []byte(`{"batch":"none"}`)); err != nil {
		c.Add(Failed, name, err.Error(), remedy(err, "look at the server's log; the consumer may have no leader"))
	} else {
		c.Add(OK, name, c.conn.API(request), "")
	}
}

// checkAcknowledging tries whether the account may settle events. The acknowledgement names no event, and no server knows its
// kind.
func (c *check) checkAcknowledging(ctx context.Context) {
	const name = "permission to acknowledge"
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	acks := "$JS.ACK." + c.cfg.Stream + "." + c.cfg.Consumer
	if err := c.conn.Send(ctx, &nats.Msg{Subject: acks + ".0.0.0.0.0", Data: []byte("revoker check")}); err != nil {
		c.Add(Failed, name, err.Error(), remedy(err, "look at the server's log"))
	} else {
		c.Add(OK, name, acks+".>", "")
	}
}

func remedy(err error, otherwise string) string {
	if errors.Is(err, conn.ErrDenied) {
		return "allow it in the account's permissions; the README lists all that the worker needs"
	}
	return otherwise
}

// headerCheck marks the message by which Check tries the dead-letter subject.
const headerCheck = "Revoker-Check"

// checkDeadLetters publishes a message that names another stream to the dead-letter subject. The dead-letter stream refuses it, and
// its answer names the stream.
func (c *check) checkDeadLetters(ctx context.Context, exists bool) {
	const publishing = "permission to dead-letter"
	if !exists {
		c.Add(Skipped, publishing, "there is no dead-letter stream yet", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	probe := &nats.Msg{Subject: c.cfg.DeadLetterSubject, Header: nats.Header{
		jetstream.ExpectedStreamHeader: {"revoker-check-of-" + c.cfg.DeadLetterStream}, headerCheck: {"nothing is to be stored"},
	}}
	answer, err := c.conn.Probe(ctx, probe)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		c.Add(Failed, publishing, "no stream stores "+c.cfg.DeadLetterSubject, "`revoker setup` adds the subject")
		return
	case err != nil:
		c.Add(Failed, publishing, err.Error(), remedy(err, "look at the server's log"))
		return
	}
	if stream := storingStream(answer.Data); stream != c.cfg.DeadLetterStream {
		c.Add(Failed, publishing,
			fmt.Sprintf("%s is stored by stream %s, not %s", c.cfg.DeadLetterSubject, events.OneLine(stream), c.cfg.DeadLetterStream),
			"change REVOKER_DEAD_LETTER_STREAM or REVOKER_DEAD_LETTER_SUBJECT, or that stream's subjects")
		return
	}
	c.Add(OK, publishing, c.cfg.DeadLetterSubject+" is stored by "+c.cfg.DeadLetterStream, "")
	c.checkMessageIDs(ctx)
}

// checkMessageIDs looks at the windows within which an event or a dead letter that is published twice is stored once.
func (c *check) checkMessageIDs(ctx context.Context) {
	const name = "message ID windows"
	var windows []string
	state, remedy := OK, ""
	for _, want := range []jetstream.StreamConfig{events.EventStream(c.cfg), events.DeadLetterStream(c.cfg)} {
		stream, err := c.conn.JetStream().Stream(ctx, want.Name)
		if err != nil {
			continue // it is missing, which is reported already
		}
		have := stream.CachedInfo().Config.Duplicates
		windows = append(windows, fmt.Sprintf("%s %s", want.Name, have))
		if have < want.Duplicates {
			state, remedy = Warning, "what is published again later, after a crash for example, is stored twice; `revoker setup` makes it longer"
		}
	}
	c.Add(state, name, strings.Join(windows, ", "), remedy)
}

// storingStream is the stream that answered a published message, be it stored or refused; "" if the answer names none.
func storingStream(answer []byte) string {
	var response struct {
		Stream string `json:"stream"`
	}
	_ = json.Unmarshal(answer, &response)
	return response.Stream
}

package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// probe sends a request and returns the first answer. Where the account may not send it, or not subscribe for the answer, the
// server says so beside it, and by the time of the flush; so this is known at once, and not by a timeout.
func (c *Conn) probe(ctx context.Context, request *nats.Msg) (*nats.Msg, error) {
	request.Reply = c.nc.NewInbox()
	sub, err := c.nc.SubscribeSync(request.Reply)
	if err != nil {
		return nil, fmt.Errorf("subscribing for an answer: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.send(ctx, request); err != nil {
		return nil, err
	}
	answer, err := sub.NextMsgWithContext(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("awaiting an answer on %s: %w", request.Subject, err)
	case len(answer.Data) == 0 && answer.Header.Get("Status") == "503":
		return nil, nats.ErrNoResponders
	}
	return answer, nil
}

// send sends a message and reports whether the server took it.
func (c *Conn) send(ctx context.Context, msg *nats.Msg) error {
	if err := c.nc.PublishMsg(msg); err != nil {
		return fmt.Errorf("sending to %s: %w", msg.Subject, err)
	}
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("sending to %s: %w", msg.Subject, err)
	}
	return c.refused(msg.Subject, msg.Reply)
}

// refused tells by the server's last error whether the account may not publish to subject, or not subscribe to reply.
func (c *Conn) refused(subject, reply string) error {
	err := c.nc.LastError()
	switch {
	case !errors.Is(err, nats.ErrPermissionViolation):
		return nil
	case violates(err, subject):
		return fmt.Errorf("publishing to %s: %w", subject, errDenied)
	case reply != "" && violates(err, reply):
		return fmt.Errorf("subscribing to the inbox %s: %w", reply, errDenied)
	}
	return nil
}

// violates reports whether a permissions violation is about this very subject, which the server quotes.
func violates(err error, subject string) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`)
}

// apiError is the error in an answer of the JetStream API, nil if there is none.
func apiError(answer []byte) *jetstream.APIError {
	var response struct {
		Error *jetstream.APIError `json:"error"`
	}
	if json.Unmarshal(answer, &response) != nil {
		return nil
	}
	return response.Error
}

// answeringStream is the stream that an acknowledgement, or a refusal, of a published message comes from.
func answeringStream(answer []byte) string {
	var response struct {
		Stream string `json:"stream"`
	}
	_ = json.Unmarshal(answer, &response) // "" is none that was asked for
	return response.Stream
}

package conn

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Probe sends a request and returns the first answer. If the account may not send it, or not subscribe for the answer, the
// server says so beside it, no later than it confirms the flush. So the error comes at once, and not after a timeout.
func (c *Conn) Probe(ctx context.Context, request *nats.Msg) (*nats.Msg, error) {
	request.Reply = c.nc.NewInbox()
	sub, err := c.nc.SubscribeSync(request.Reply)
	if err != nil {
		return nil, fmt.Errorf("subscribing for an answer: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.Send(ctx, request); err != nil {
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

// ProbeAPI probes a request to the JetStream API, such as STREAM.INFO.SESSIONS, within [RequestTimeout].
func (c *Conn) ProbeAPI(ctx context.Context, request string, body []byte) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	return c.Probe(ctx, &nats.Msg{Subject: c.API(request), Data: body})
}

// Send sends a message and reports whether the server took it.
func (c *Conn) Send(ctx context.Context, msg *nats.Msg) error {
	if err := c.nc.PublishMsg(msg); err != nil {
		return fmt.Errorf("sending to %s: %w", msg.Subject, err)
	}
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("sending to %s: %w", msg.Subject, err)
	}
	return c.refused(msg.Subject, msg.Reply)
}

// refused reads in the server's last error whether the account may not publish to subject, or not subscribe to reply.
func (c *Conn) refused(subject, reply string) error {
	err := c.nc.LastError()
	switch {
	case Violates(err, subject):
		return fmt.Errorf("publishing to %s: %w", subject, ErrDenied)
	case reply != "" && Violates(err, reply):
		return fmt.Errorf("subscribing to the inbox %s: %w", reply, ErrDenied)
	}
	return nil
}

// APIError is the error in an answer of the JetStream API, nil if there is none.
func APIError(answer []byte) *jetstream.APIError {
	var response struct {
		Error *jetstream.APIError `json:"error"`
	}
	if json.Unmarshal(answer, &response) != nil {
		return nil
	}
	return response.Error
}

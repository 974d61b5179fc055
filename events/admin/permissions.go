package admin

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events/internal/conn"
)

// checkPulling tries whether the account may pull. The server refuses the request, so that it takes no event from a worker.
func (c *check) checkPulling(ctx context.Context, own config.Config, of string, exists bool) {
	name := "permission to pull" + of
	request := "CONSUMER.MSG.NEXT." + own.Stream + "." + own.Consumer
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
func (c *check) checkAcknowledging(ctx context.Context, own config.Config, of string) {
	name := "permission to acknowledge" + of
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	acks := "$JS.ACK." + own.Stream + "." + own.Consumer
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

// storingStream is the stream that answered a published message, be it stored or refused; "" if the answer names none.
func storingStream(answer []byte) string {
	var response struct {
		Stream string `json:"stream"`
	}
	_ = json.Unmarshal(answer, &response)
	return response.Stream
}

package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	requestTimeout = 5 * time.Second // of one request to the JetStream API

	errorMessageNotFound = 10037 // an error code of the JetStream API
)

// errNoMessage tells that a stream has no message of a sequence.
var errNoMessage = errors.New("no such message")

// lookUp finds a stream; variable is what names it.
func (c *Conn) lookUp(ctx context.Context, name, variable string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := c.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("there is no stream %s; `revoker run` creates it, and %s names another", name, variable)
	}
	if err != nil {
		return nil, c.explainAPI("looking up stream "+name, "STREAM.INFO."+name, err)
	}
	return stream, nil
}

// explainAPI says what was being done, and which permission is missing if that is why it timed out.
func (c *Conn) explainAPI(doing, request string, err error) error {
	return c.explainPublish(doing, c.api+request, err)
}

func (c *Conn) explainPublish(doing, subject string, err error) error {
	named := strings.TrimRight(subject, "*>")
	if named == subject { // the whole of it, not the beginning of another
		named += `"`
	}
	err = c.explain(doing, named, err)
	if errors.Is(err, errDenied) {
		return fmt.Errorf("%w: it must be able to publish to %s", err, subject)
	}
	return err
}

// ask makes a request to the JetStream API.
func (c *Conn) ask(ctx context.Context, doing, request string, body []byte, response any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.nc.RequestWithContext(ctx, c.api+request, body)
	if err != nil {
		return c.explainAPI(doing, request, err)
	}
	if err := json.Unmarshal(answer.Data, response); err != nil {
		return fmt.Errorf("%s: the server's answer: %w", doing, err)
	}
	return nil
}

// storedMessage is a message as any stream has it.
type storedMessage struct {
	subject string
	header  nats.Header
	payload []byte
	stored  time.Time
}

// message reads one message of a stream. nats.go's own GetMsg is not used, for on a stream that allows direct gets it
// takes a message with a Status header and no payload for the server's own word that there is none; and it would need
// another permission there.
func (c *Conn) message(ctx context.Context, stream string, sequence uint64) (storedMessage, error) {
	doing := "reading message " + letterName(stream, sequence)
	var response struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Header  []byte    `json:"hdrs"`
			Payload []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := c.ask(ctx, doing, "STREAM.MSG.GET."+stream, fmt.Appendf(nil, `{"seq":%d}`, sequence), &response); err != nil {
		return storedMessage{}, err
	}
	if response.Error != nil {
		if response.Error.ErrorCode == errorMessageNotFound {
			return storedMessage{}, errNoMessage
		}
		return storedMessage{}, fmt.Errorf("%s: %w", doing, response.Error)
	}
	msg := storedMessage{subject: response.Message.Subject, payload: response.Message.Payload, stored: response.Message.Time}
	if len(response.Message.Header) > 0 {
		var err error
		if msg.header, err = nats.DecodeHeadersMsg(response.Message.Header); err != nil {
			return storedMessage{}, fmt.Errorf("%s: its headers: %w", doing, err)
		}
	}
	return msg, nil
}

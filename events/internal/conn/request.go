package conn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// RequestTimeout is that of one request to the JetStream API.
const RequestTimeout = 5 * time.Second

const errorMessageNotFound = 10037 // an error code of the JetStream API

// ErrNoMessage says that a stream has no message where it was looked for.
var ErrNoMessage = errors.New("no such message")

// LookUp finds a stream; variable is the variable that names it.
func (c *Conn) LookUp(ctx context.Context, name, variable string) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	stream, err := c.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("there is no stream %s; `revoker setup` creates it, and %s names another", name, variable)
	}
	return stream, c.ExplainMissing("looking up stream "+name, "STREAM.INFO."+name, err)
}

// ConsumerInfo is the state of a consumer, be it a pull or a push consumer.
func (c *Conn) ConsumerInfo(ctx context.Context, stream, consumer string) (*jetstream.ConsumerInfo, error) {
	pull, err := c.js.Consumer(ctx, stream, consumer)
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		push, err := c.js.PushConsumer(ctx, stream, consumer)
		if err != nil {
			return nil, err
		}
		return push.CachedInfo(), nil
	}
	if err != nil {
		return nil, err
	}
	return pull.CachedInfo(), nil
}

// AskConsumer is the state of a consumer of any kind. An account that may not ask is told so at once. The error is
// [jetstream.ErrConsumerNotFound] if the consumer or its stream does not exist.
func (c *Conn) AskConsumer(ctx context.Context, stream, consumer string) (*jetstream.ConsumerInfo, error) {
	var response struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.ConsumerInfo
	}
	if err := c.Ask(ctx, "looking up consumer "+consumer, "CONSUMER.INFO."+stream+"."+consumer, nil, &response); err != nil {
		return nil, err
	}
	switch {
	case response.Error == nil:
		return &response.ConsumerInfo, nil
	case response.Error.Code == 404:
		return nil, jetstream.ErrConsumerNotFound
	}
	return nil, response.Error
}

// Ask makes a request to the JetStream API, such as STREAM.INFO.SESSIONS, and reads the answer into response. doing begins the
// error. A request that the account may not make ends at once.
func (c *Conn) Ask(ctx context.Context, doing, request string, body []byte, response any) error {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	subject := c.API(request)
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	defer c.violations.await(subject, func() { refuse(ErrDenied) })()
	answer, err := c.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		if errors.Is(context.Cause(ctx), ErrDenied) {
			err = ErrDenied
		}
		return c.ExplainAPI(doing, request, err)
	}
	if err := json.Unmarshal(answer.Data, response); err != nil {
		return fmt.Errorf("%s: the server's answer: %w", doing, err)
	}
	return nil
}

// StoredMessage is a message as a stream has it.
type StoredMessage struct {
	Sequence  uint64
	Published time.Time
	Subject   string
	Header    nats.Header
	Payload   []byte
}

// Place says which message of a stream is meant: the one of Sequence; the first on NextOn from Sequence on; or the last on
// LastOn.
type Place struct {
	Sequence uint64 `json:"seq,omitempty"`
	NextOn   string `json:"next_by_subj,omitempty"`
	LastOn   string `json:"last_by_subj,omitempty"`
}

// Message reads one message of a stream. Nothing is delivered, and no delivery count changes. The error wraps [ErrNoMessage] if
// there is no such message.
// https://docs.nats.io/reference/reference-protocols/nats_api_reference#fetching-from-a-stream-by-sequence
//
// nats.go's own GetMsg is not used. On a stream that allows direct gets it takes a message with a Status header and no payload
// for the server's own word that there is none. It would also need another permission there.
func (c *Conn) Message(ctx context.Context, stream string, place Place) (StoredMessage, error) {
	doing := "looking into stream " + stream
	if place.NextOn == "" && place.LastOn == "" {
		doing = "reading message " + stream + "/" + strconv.FormatUint(place.Sequence, 10)
	}
	request, err := json.Marshal(place)
	if err != nil {
		return StoredMessage{}, fmt.Errorf("%s: encoding the request: %w", doing, err)
	}
	var response struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Sequence uint64    `json:"seq"`
			Subject  string    `json:"subject"`
			Header   []byte    `json:"hdrs"`
			Payload  []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := c.Ask(ctx, doing, "STREAM.MSG.GET."+stream, request, &response); err != nil {
		return StoredMessage{}, err
	}
	if response.Error != nil {
		if response.Error.ErrorCode == errorMessageNotFound {
			return StoredMessage{}, fmt.Errorf("%s: %w", doing, ErrNoMessage)
		}
		return StoredMessage{}, fmt.Errorf("%s: %w", doing, response.Error)
	}
	found := response.Message
	msg := StoredMessage{Sequence: found.Sequence, Published: found.Time, Subject: found.Subject, Payload: found.Payload}
	if len(found.Header) > 0 {
		if msg.Header, err = nats.DecodeHeadersMsg(found.Header); err != nil {
			return StoredMessage{}, fmt.Errorf("%s: its headers: %w", doing, err)
		}
	}
	return msg, nil
}

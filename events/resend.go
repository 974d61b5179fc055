package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events/internal/conn"
)

// again sends the event until it is confirmed, one attempt after the other.
func (b *BulkPublisher) again(msg *nats.Msg) (ack *jetstream.PubAck, err error) {
	retryFor := b.retryFor
	if !b.confirmed.Load() {
		retryFor = min(retryFor, bulkElection)
	}
	ctx, cancel := context.WithTimeout(b.interrupted, retryFor)
	defer cancel()
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(bulkRetryMin), backoff.WithMaxInterval(bulkRetryMax), backoff.WithMaxElapsedTime(0)) // ctx ends it
	var last error // what went wrong, even if ctx says only that it took too long
	attempt := func() (err error) {
		ack, err = b.once(ctx, msg)
		if last == nil || err == nil || ctx.Err() == nil {
			last = err
		}
		if last != nil && !b.passing(last) {
			return backoff.Permanent(last)
		}
		return last
	}
	logged := false
	err = backoff.RetryNotify(attempt, backoff.WithContext(policy, ctx), func(err error, _ time.Duration) {
		if !logged {
			b.conn.Log().Warn("an event was not confirmed; sending it again", "error", b.explain(err), "for", retryFor)
			logged = true
		}
	})
	if err != nil {
		err = last
	}
	return ack, err
}

func (b *BulkPublisher) once(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	if err := b.conn.AwaitConnected(ctx); err != nil {
		return nil, errors.New("NATS is not reachable")
	}
	ctx, cancel := context.WithTimeout(ctx, b.ackWait)
	defer cancel()
	ack, err := b.js.PublishMsg(ctx, msg)
	if err != nil {
		return nil, err
	}
	return ack, b.check(ack)
}

// check compares the stream that answered with the expected one.
func (b *BulkPublisher) check(ack *jetstream.PubAck) error {
	if ack.Stream != b.stream {
		return errOtherStream
	}
	return nil
}

// passing reports whether an event that was not confirmed may be confirmed if it is sent again.
func (b *BulkPublisher) passing(err error) bool {
	var api *jetstream.APIError
	switch {
	case b.interrupted.Err() != nil, b.conn.ViolationHas(`"` + b.subject + `"`):
		return false
	case !b.confirmed.Load():
		return unanswered(err) && !b.lacksStream()
	case conn.TooLarge(err), errors.Is(err, errOtherStream):
		return false
	case errors.As(err, &api):
		return api.ErrorCode != ErrorWrongStream
	}
	return true
}

// lacksStream reports whether it is certain that the stream is missing, or does not store the subject. The account need not be
// allowed to ask.
func (b *BulkPublisher) lacksStream() bool {
	request := "STREAM.INFO." + b.stream
	b.conn.IgnoreSubjects(b.conn.API(request))
	answer, err := b.conn.ProbeAPI(b.interrupted, request, nil)
	if err != nil {
		return false
	}
	if failure := conn.APIError(answer.Data); failure != nil {
		b.off = failure.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount
		return failure.Code == 404 || b.off
	}
	var info jetstream.StreamInfo
	return json.Unmarshal(answer.Data, &info) == nil && !streamStores(info.Config, b.subject)
}

func (b *BulkPublisher) explain(err error) error {
	var api *jetstream.APIError
	if errors.Is(err, errOtherStream) || errors.As(err, &api) && api.ErrorCode == ErrorWrongStream {
		return fmt.Errorf("%s is stored by another stream than %s (REVOKER_STREAM)", b.subject, b.stream)
	}
	if b.off {
		return fmt.Errorf("publishing to %s: %s", b.subject, b.conn.NoJetStream())
	}
	return notStored(b.conn, b.subject, err)
}

package conn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Error codes of the JetStream API: a cluster has too few servers for the replicas; a stream's max message size is exceeded; another
// stream stores a subject; the server's 64 KiB of headers are exceeded.
const (
	errorNoPeers         = 10005
	errorMessageTooLarge = 10054
	errorSubjectsOverlap = 10065
	errorHeaderTooLarge  = 10097
)

// ErrDenied marks a request that the account's permissions forbid.
var ErrDenied = errors.New("the account's permissions do not allow it")

// errUnreachable replaces what nats.go says of a message with headers before it was ever connected: that the server does not
// support them.
var errUnreachable = errors.New("NATS is not reachable")

// Explain says what was being done. A request that timed out because the server refused it, to a subject that has part in it,
// becomes [ErrDenied].
func (c *Conn) Explain(doing, part string, err error) error {
	if errors.Is(err, nats.ErrHeadersNotSupported) && !c.nc.IsConnected() {
		err = errUnreachable
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		switch {
		case c.ViolationHas(c.inboxQuoted()):
			return fmt.Errorf("%s: %w", doing, inboxError{c.inbox})
		case c.ViolationHas(part):
			err = ErrDenied
		}
	}
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) || errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("%s: %w", doing, reworded{c.NoJetStream(), err})
	}
	return fmt.Errorf("%s: %w", doing, Reword(err))
}

// reworded is an error whose own words say too little, or the same thing twice.
type reworded struct {
	text string
	err  error
}

// Error implements error.
func (r reworded) Error() string { return r.text }

// Unwrap returns the error that it stands for.
func (r reworded) Unwrap() error { return r.err }

// Reword leaves of an error of the JetStream API what the server said. nats.go puts "nats: nats: API error: code=503 err_code=10077
// description=" before it.
func Reword(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Description != "" {
		return reworded{fmt.Sprintf("%s (JetStream's error %d)", api.Description, api.ErrorCode), err}
	}
	return err
}

// Overlaps reports whether a stream could not be created or changed because another one stores a subject of it.
func Overlaps(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == errorSubjectsOverlap
}

// ExplainAPI is ExplainPublish for a request to the JetStream API, such as STREAM.INFO.SESSIONS.
func (c *Conn) ExplainAPI(doing, request string, err error) error {
	return c.ExplainPublish(doing, c.API(request), err)
}

// ExplainPublish is Explain, with the subject that the account must be able to publish to.
func (c *Conn) ExplainPublish(doing, subject string, err error) error {
	part := strings.TrimRight(subject, "*>")
	if part == subject { // the whole subject, not the beginning of another
		part += `"`
	}
	err = c.Explain(doing, part, err)
	var boxless inboxError
	if errors.Is(err, ErrDenied) && !errors.As(err, &boxless) {
		return fmt.Errorf("%w: it must be able to publish to %s", err, subject)
	}
	return err
}

// ExplainMissing is ExplainAPI, with what to do if the stream, the consumer or JetStream is missing. It explains no error as nil.
func (c *Conn) ExplainMissing(doing, request string, err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%s: the stream does not exist; `revoker setup` creates it, and REVOKER_STREAM names another", doing)
	case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrConsumerDoesNotExist):
		return fmt.Errorf("%s: the consumer does not exist; `revoker setup` creates it, and REVOKER_CONSUMER names another", doing)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%s: %s", doing, c.NoJetStream())
	case errors.As(err, &api) && api.Code == 503:
		return fmt.Errorf("%s: JetStream is not ready: %w", doing, Reword(err))
	}
	err = c.ExplainAPI(doing, request, err)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %s", doing, RequestTimeout)
	}
	return err
}

// NoJetStream says what may be wrong if nobody answers a request to the JetStream API.
func (c *Conn) NoJetStream() string {
	what, remedy := c.JetStreamOff()
	return what + "; " + remedy
}

// JetStreamOff is NoJetStream in two parts: what happened, and what to do.
func (c *Conn) JetStreamOff() (what, remedy string) {
	if c.api == jetstream.DefaultAPIPrefix {
		return "JetStream is not enabled, on this server or for this account", "enable it, or if it has a domain, set NATS_JS_DOMAIN"
	}
	return "nobody answers on " + c.api + ">", "look at NATS_JS_DOMAIN, or the domain of the NATS context, and see whether JetStream is enabled there"
}

// Transient reports whether the same request may succeed later, although nobody does anything.
func Transient(err error) bool {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, ErrDenied):
		return false
	case errors.As(err, &api):
		// JetStream is starting, has no leader, or is off. Or a cluster that is starting does not know enough servers yet.
		return api.Code == 503 || api.ErrorCode == errorNoPeers
	}
	for _, passing := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrConnectionReconnecting,
		jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled, errUnreachable,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// TooLarge reports whether the client, the server or the stream refused a message for its size.
func TooLarge(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode == errorMessageTooLarge || api.ErrorCode == errorHeaderTooLarge
	}
	return errors.Is(err, nats.ErrMaxPayload)
}

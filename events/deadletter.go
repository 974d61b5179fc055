package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Reasons for a dead letter, the values of the Revoker-Reason header.
const (
	ReasonCallerError      = "CALLER_ERROR"
	ReasonInvalidEvent     = "INVALID_EVENT"
	ReasonRetriesExhausted = "RETRIES_EXHAUSTED"
)

// Headers of a dead letter, beside the original message's.
const (
	HeaderReason         = "Revoker-Reason"
	HeaderError          = "Revoker-Error"
	HeaderHTTPStatus     = "Revoker-Http-Status"
	HeaderResultCode     = "Revoker-Result-Code"
	HeaderResultMessage  = "Revoker-Result-Message"
	HeaderSubject        = "Revoker-Subject"
	HeaderStream         = "Revoker-Stream"
	HeaderStreamSequence = "Revoker-Stream-Sequence"
	HeaderConsumer       = "Revoker-Consumer"
	HeaderDeliveries     = "Revoker-Deliveries"
	HeaderPublishedAt    = "Revoker-Published-At"
	HeaderDeadLetteredAt = "Revoker-Dead-Lettered-At"
	HeaderMsgID          = "Revoker-Msg-Id"
	HeaderReplayOf       = "Revoker-Replay-Of"       // the earlier dead letter, of an event that was replayed: stream/sequence
	HeaderHeadersOmitted = "Revoker-Headers-Omitted" // how many of the original headers did not fit
	HeaderPayloadOmitted = "Revoker-Payload-Omitted" // how many bytes of payload did not fit
)

const (
	headerPrefix       = "Revoker-"
	serverHeaderPrefix = "Nats-"
	maxHeaderValue     = 1024 // bytes
	deadLetterTimeout  = 5 * time.Second

	// Error codes of the JetStream API: a stream's max message size, and the server's 64 KiB of headers, are exceeded.
	errorMessageTooLarge = 10054
	errorHeaderTooLarge  = 10097
)

// Letter says why an event is dead-lettered.
type Letter struct {
	// Reason is one of the Reason constants.
	Reason string
	// Error is a sentence for the operator.
	Error string
	// HTTPStatus, ResultCode and ResultMessage are the API's answer, where there was one.
	HTTPStatus    int
	ResultCode    string
	ResultMessage string
	// SessionID, where it is known, is masked in Error and ResultMessage.
	SessionID SessionID
	// TraceParent and TraceState are the trace context that the letter carries on; without it the event's own stays.
	TraceParent, TraceState string
}

// The headers of https://www.w3.org/TR/trace-context/.
const (
	headerTraceParent = "traceparent"
	headerTraceState  = "tracestate"
)

// DeadLetters publishes dead letters. It is safe for concurrent use.
type DeadLetters struct {
	conn    *Conn
	stream  string
	subject string
}

// Publish stores the letter of a delivery, with the original payload and headers, and returns once the stream has
// confirmed it. Its message ID makes a second publication of the same event store nothing, within the stream's duplicate
// window. What does not fit beside revoker's own headers is left out, the original headers first, and headers that cannot
// be sent at all: the message itself is in its own stream under the letter's stream and sequence.
func (l *DeadLetters) Publish(ctx context.Context, d *Delivery, letter Letter) error {
	ctx, cancel := context.WithTimeout(ctx, deadLetterTimeout)
	defer cancel()
	facts := letterHeader(d, letter, time.Now())
	if earlier := d.Header().Get(HeaderReplayOf); isLetterOf(l.stream, earlier) {
		facts.Set(HeaderReplayOf, earlier)
	}
	own, unsendable := original(d.Header())
	if letter.TraceParent != "" {
		maps.DeleteFunc(own, func(name string, _ []string) bool {
			return strings.EqualFold(name, headerTraceParent) || strings.EqualFold(name, headerTraceState)
		})
	}
	err := l.send(ctx, d, whole(own, facts, unsendable), d.Payload())
	if tooLarge(err) && len(own) > 0 {
		err = l.send(ctx, d, whole(nil, facts, unsendable+len(own)), d.Payload())
	}
	if tooLarge(err) {
		facts.Set(HeaderPayloadOmitted, strconv.Itoa(len(d.Payload())))
		err = l.send(ctx, d, whole(nil, facts, unsendable+len(own)), nil)
	}
	if err != nil {
		return fmt.Errorf("publishing a dead letter to %s: %w", l.subject, err)
	}
	return nil
}

func (l *DeadLetters) send(ctx context.Context, d *Delivery, header nats.Header, payload []byte) error {
	// Sequences start anew in a stream that is recreated; the time tells the two apart.
	id := fmt.Sprintf("%s/%s/%d/%d", d.Stream, d.Consumer, d.Sequence, d.Published.UnixNano())
	msg := &nats.Msg{Subject: l.subject, Header: header, Data: payload}
	_, err := l.conn.js.PublishMsg(ctx, msg, jetstream.WithMsgID(id), jetstream.WithExpectStream(l.stream))
	return err
}

// tooLarge reports whether the client, the server or the stream refused a message for its size.
func tooLarge(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode == errorMessageTooLarge || api.ErrorCode == errorHeaderTooLarge
	}
	return errors.Is(err, nats.ErrMaxPayload)
}

// letterHeader is what revoker itself says of a dead letter.
func letterHeader(d *Delivery, letter Letter, now time.Time) nats.Header {
	header := nats.Header{}
	for name, value := range map[string]string{
		HeaderReason:         letter.Reason,
		HeaderError:          masked(letter.Error, letter.SessionID),
		HeaderResultCode:     masked(letter.ResultCode, letter.SessionID),
		HeaderResultMessage:  masked(letter.ResultMessage, letter.SessionID),
		HeaderSubject:        d.Subject(),
		HeaderStream:         d.Stream,
		HeaderStreamSequence: strconv.FormatUint(d.Sequence, 10),
		HeaderConsumer:       d.Consumer,
		HeaderDeliveries:     strconv.Itoa(d.Deliveries),
		HeaderPublishedAt:    d.Published.UTC().Format(time.RFC3339Nano),
		HeaderDeadLetteredAt: now.UTC().Format(time.RFC3339Nano),
		HeaderMsgID:          masked(d.Header().Get(nats.MsgIdHdr), letter.SessionID),
		headerTraceParent:    letter.TraceParent,
		headerTraceState:     letter.TraceState,
	} {
		if value != "" {
			header.Set(name, OneLine(value))
		}
	}
	if letter.HTTPStatus != 0 {
		header.Set(HeaderHTTPStatus, strconv.Itoa(letter.HTTPStatus))
	}
	return header
}

// masked masks the ID once more after the text is on one line, where two spaces that became one may have made it up.
func masked(text string, id SessionID) string { return MaskIn(onOneLine(MaskIn(text, id)), id) }

// original copies the message's own headers, less those that begin with Nats-, which would be instructions to the server,
// and with Revoker-, which only revoker may write. The server knows its own whatever their case, so the comparison does
// too. Other clients can send names that nats.go refuses; those are counted as unsendable.
func original(own nats.Header) (header nats.Header, unsendable int) {
	header = nats.Header{}
	for name, values := range own {
		switch {
		case hasPrefixFold(name, serverHeaderPrefix), hasPrefixFold(name, headerPrefix):
		case !token(name):
			unsendable++
		default:
			header[name] = values
		}
	}
	return header, unsendable
}

// whole is a dead letter's header: what is left of the message's own, the facts, and how many headers were left out.
func whole(own, facts nats.Header, omitted int) nats.Header {
	header := nats.Header{}
	maps.Copy(header, own)
	maps.Copy(header, facts)
	if omitted > 0 {
		header.Set(HeaderHeadersOmitted, strconv.Itoa(omitted))
	}
	return header
}

// token reports whether name is a token of RFC 9110, section 5.6.2.
func token(name string) bool {
	const delimiters = "\"(),/:;<=>?@[\\]{}"
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(delimiters, r) })
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// OneLine makes text fit for a header value: control characters and white space become single spaces, invalid UTF-8 is
// replaced, and what is beyond 1 KiB is cut off.
func OneLine(text string) string {
	text = onOneLine(text)
	if len(text) <= maxHeaderValue {
		return text
	}
	const ellipsis = "…"
	text = text[:maxHeaderValue-len(ellipsis)]
	for !utf8.ValidString(text) { // a character cut in two
		text = text[:len(text)-1]
	}
	return text + ellipsis
}

func onOneLine(text string) string {
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

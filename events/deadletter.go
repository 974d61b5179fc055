package events

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events/internal/conn"
)

// Reasons for a dead letter, the values of the Revoker-Reason header.
const (
	ReasonCallerError      = "CALLER_ERROR"
	ReasonInvalidEvent     = "INVALID_EVENT"
	ReasonRetriesExhausted = "RETRIES_EXHAUSTED"
)

// Headers of a dead letter, in addition to the original message's.
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
)

// Letter says why an event is dead-lettered.
type Letter struct {
	// Reason is one of the Reason constants.
	Reason string
	// Error is a sentence for the operator.
	Error string
	// HTTPStatus, ResultCode and ResultMessage are the API's answer, if there was one.
	HTTPStatus    int
	ResultCode    string
	ResultMessage string
	// SessionID, if it is known, is masked in Error and ResultMessage.
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

// Publish stores the letter of a delivery, with the original payload and headers, and returns once the stream has confirmed it.
// Its message ID makes a second publication of the same event store nothing within the stream's duplicate window. What does not
// fit beside revoker's own headers is left out, the original headers first. Headers that cannot be sent at all are left out too.
// The event itself is still in its own stream, whose name and sequence the letter has.
func (l *DeadLetters) Publish(ctx context.Context, d *Delivery, letter Letter) error {
	ctx, cancel := context.WithTimeout(ctx, deadLetterTimeout)
	defer cancel()
	facts := letterHeader(d, letter, time.Now())
	if earlier := d.Header().Get(HeaderReplayOf); IsLetterOf(l.stream, earlier) {
		facts.Set(HeaderReplayOf, earlier)
	}
	own, unsendable := OriginalHeader(d.Header())
	if letter.TraceParent != "" {
		maps.DeleteFunc(own, func(name string, _ []string) bool {
			return strings.EqualFold(name, headerTraceParent) || strings.EqualFold(name, headerTraceState)
		})
	}
	err := l.send(ctx, d, wholeHeader(own, facts, unsendable), d.Payload())
	if conn.TooLarge(err) && len(own) > 0 {
		err = l.send(ctx, d, wholeHeader(nil, facts, unsendable+len(own)), d.Payload())
	}
	if conn.TooLarge(err) {
		facts.Set(HeaderPayloadOmitted, strconv.Itoa(len(d.Payload())))
		err = l.send(ctx, d, wholeHeader(nil, facts, unsendable+len(own)), nil)
	}
	if err != nil {
		return fmt.Errorf("publishing a dead letter to %s: %w", l.subject, conn.Reword(err))
	}
	return nil
}

func (l *DeadLetters) send(ctx context.Context, d *Delivery, header nats.Header, payload []byte) error {
	// Sequences start anew in a stream that is recreated; the time tells the two apart.
	id := fmt.Sprintf("%s/%s/%d/%d", d.Stream, d.Consumer, d.Sequence, d.Published.UnixNano())
	msg := &nats.Msg{Subject: l.subject, Header: header, Data: payload}
	_, err := l.conn.JetStream().PublishMsg(ctx, msg, jetstream.WithMsgID(id), jetstream.WithExpectStream(l.stream))
	return err
}

// letterHeader is what revoker itself says about a dead letter.
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

// masked masks the ID again once the text is on one line: two spaces that became one may have completed it.
func masked(text string, id SessionID) string { return MaskIn(onOneLine(MaskIn(text, id)), id) }

// OriginalHeader copies a message's own headers. It leaves out those that begin with Nats-, which would be instructions to the
// server, and with Revoker-, which only revoker may write. The server ignores the case of its own headers, so the comparison
// does too. Other clients can send names that nats.go refuses to send; they are left out and counted as unsendable.
func OriginalHeader(own nats.Header) (header nats.Header, unsendable int) {
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

// wholeHeader is the header of a dead letter: what is left of the message's own, the facts, and how many headers were left
// out.
func wholeHeader(own, facts nats.Header, omitted int) nats.Header {
	header := nats.Header{}
	maps.Copy(header, own)
	maps.Copy(header, facts)
	if omitted > 0 {
		header.Set(HeaderHeadersOmitted, strconv.Itoa(omitted))
	}
	return header
}

// LetterName names a dead letter to people and in headers: stream/sequence.
func LetterName(stream string, sequence uint64) string {
	return stream + "/" + strconv.FormatUint(sequence, 10)
}

// IsLetterOf reports whether name is the name of a dead letter in the stream. A publisher of events may have written anything
// else there for an operator to read.
func IsLetterOf(stream, name string) bool {
	digits, found := strings.CutPrefix(name, stream+"/")
	sequence, err := strconv.ParseUint(digits, 10, 64)
	return found && err == nil && sequence > 0 && name == LetterName(stream, sequence)
}

// token reports whether name is a token of RFC 9110, section 5.6.2.
func token(name string) bool {
	const delimiters = "\"(),/:;<=>?@[\\]{}"
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(delimiters, r) })
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// OneLine makes text fit for a header value. Control characters and white space become single spaces, invalid UTF-8 is replaced,
// and text beyond 1 KiB is cut off.
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

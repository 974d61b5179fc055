package events

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// StoredLetter is a dead letter as its stream has it. What its headers say was written by revoker, unless somebody else
// may publish to the dead-letter subject too: it is not to be trusted further than a look at it needs.
type StoredLetter struct {
	// Letter says why. Its SessionID is the event's, if that can be decoded.
	Letter
	// Stream, Sequence and Stored are the letter's own place and time.
	Stream   string
	Sequence uint64
	Stored   time.Time
	// Origin is the event's place and history.
	Origin Origin
	// ReplayOf names the dead letter that this event was before it was replayed: stream/sequence. That one is gone by now.
	ReplayOf string
	// HeadersOmitted and PayloadOmitted count the event's headers and bytes that did not fit into the letter.
	HeadersOmitted, PayloadOmitted int
	// Header and Payload are the event's, with revoker's own headers and the server's among them.
	Header  nats.Header
	Payload []byte

	read time.Time // when the stream was asked
}

// Origin is where a dead letter's event is and what became of it there, as far as its headers say.
type Origin struct {
	Stream    string
	Sequence  uint64
	Subject   string
	Consumer  string
	MessageID string // the event's own Nats-Msg-Id
	Published time.Time
	// DeadLettered is when the worker gave the event up, by its own clock.
	DeadLettered time.Time
	Deliveries   int
}

// newStoredLetter reads a message of the dead-letter stream. Facts that are missing or malformed are zero.
func newStoredLetter(stream string, sequence uint64, stored time.Time, header nats.Header, payload []byte) StoredLetter {
	text := func(name string) string { return OneLine(header.Get(name)) }
	number := func(name string) int { n, _ := strconv.Atoi(header.Get(name)); return max(n, 0) }
	moment := func(name string) time.Time { t, _ := time.Parse(time.RFC3339Nano, header.Get(name)); return t }
	letter := StoredLetter{
		Letter: Letter{
			Reason: text(HeaderReason), Error: text(HeaderError), HTTPStatus: number(HeaderHTTPStatus),
			ResultCode: text(HeaderResultCode), ResultMessage: text(HeaderResultMessage),
		},
		Stream: stream, Sequence: sequence, Stored: stored,
		Origin: Origin{
			Stream: text(HeaderStream), Subject: text(HeaderSubject), Consumer: text(HeaderConsumer), MessageID: text(HeaderMsgID),
			Published: moment(HeaderPublishedAt), DeadLettered: moment(HeaderDeadLetteredAt), Deliveries: number(HeaderDeliveries),
		},
		HeadersOmitted: number(HeaderHeadersOmitted), PayloadOmitted: number(HeaderPayloadOmitted),
		Header: header, Payload: payload, read: time.Now(),
	}
	letter.Origin.Sequence, _ = strconv.ParseUint(header.Get(HeaderStreamSequence), 10, 64)
	if earlier := header.Get(HeaderReplayOf); isLetterOf(stream, earlier) {
		letter.ReplayOf = earlier
	}
	if event, err := Decode(header, payload); err == nil {
		letter.SessionID = event.SessionID
	}
	return letter
}

// Name names the letter: stream/sequence.
func (l StoredLetter) Name() string { return letterName(l.Stream, l.Sequence) }

// replayID is the message ID of the letter's replay. Sequences start anew in a stream that is recreated; the time tells
// the two apart.
func (l StoredLetter) replayID() string {
	return fmt.Sprintf("replay/%s/%d", l.Name(), l.Stored.UnixNano())
}

// OwnHeader is the event's header without revoker's and the server's.
func (l StoredLetter) OwnHeader() nats.Header {
	own := nats.Header{}
	for name, values := range l.Header {
		if !hasPrefixFold(name, serverHeaderPrefix) && !hasPrefixFold(name, headerPrefix) {
			own[name] = values
		}
	}
	return own
}

// letterName names a dead letter to people and in headers.
func letterName(stream string, sequence uint64) string {
	return stream + "/" + strconv.FormatUint(sequence, 10)
}

// isLetterOf reports whether name is that of a dead letter in the stream, and nothing else that a publisher of events
// might want to have in front of an operator.
func isLetterOf(stream, name string) bool {
	digits, found := strings.CutPrefix(name, stream+"/")
	sequence, err := strconv.ParseUint(digits, 10, 64)
	return found && err == nil && sequence > 0 && name == letterName(stream, sequence)
}

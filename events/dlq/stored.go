package dlq

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/events"
)

// StoredLetter is a dead letter as its stream has it. Its headers were written by revoker, unless somebody else may publish to the
// dead-letter subject too. So they are shown, but not trusted.
type StoredLetter struct {
	// Letter says why. Its SessionID is the event's, if the event can be decoded.
	events.Letter
	// Stream, Sequence and Stored are the letter's own place and time.
	Stream   string
	Sequence uint64
	Stored   time.Time
	// Origin is the event's place and history.
	Origin Origin
	// ReplayOf names the dead letter that this event was before it was replayed: stream/sequence. That letter is gone.
	ReplayOf string
	// HeadersOmitted and PayloadOmitted count the event's headers and bytes that did not fit into the letter.
	HeadersOmitted, PayloadOmitted int
	// Header and Payload are the event's. Header also has revoker's own and the server's headers.
	Header  nats.Header
	Payload []byte

	read time.Time // when the stream was asked
}

// Origin is where a dead letter's event is stored and what happened to it, as far as the letter's headers say.
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
	text := func(name string) string { return events.OneLine(header.Get(name)) }
	number := func(name string) int { n, _ := strconv.Atoi(header.Get(name)); return max(n, 0) }
	moment := func(name string) time.Time { t, _ := time.Parse(time.RFC3339Nano, header.Get(name)); return t }
	letter := StoredLetter{
		Letter: events.Letter{
			Reason: text(events.HeaderReason), Error: text(events.HeaderError), HTTPStatus: number(events.HeaderHTTPStatus),
			ResultCode: text(events.HeaderResultCode), ResultMessage: text(events.HeaderResultMessage),
		},
		Stream: stream, Sequence: sequence, Stored: stored,
		Origin: Origin{
			Stream: text(events.HeaderStream), Subject: text(events.HeaderSubject), Consumer: text(events.HeaderConsumer), MessageID: text(events.HeaderMsgID),
			Published: moment(events.HeaderPublishedAt), DeadLettered: moment(events.HeaderDeadLetteredAt), Deliveries: number(events.HeaderDeliveries),
		},
		HeadersOmitted: number(events.HeaderHeadersOmitted), PayloadOmitted: number(events.HeaderPayloadOmitted),
		Header: header, Payload: payload, read: time.Now(),
	}
	letter.Origin.Sequence, _ = strconv.ParseUint(header.Get(events.HeaderStreamSequence), 10, 64)
	if earlier := header.Get(events.HeaderReplayOf); events.IsLetterOf(stream, earlier) {
		letter.ReplayOf = earlier
	}
	if event, err := events.Decode(header, payload); err == nil {
		letter.SessionID = event.SessionID
	}
	return letter
}

// Name names the letter: stream/sequence.
func (l StoredLetter) Name() string { return events.LetterName(l.Stream, l.Sequence) }

// replayID is the message ID of the letter's replay. Sequences start anew in a stream that is recreated; the time tells
// the two apart.
func (l StoredLetter) replayID() string {
	return fmt.Sprintf("replay/%s/%d", l.Name(), l.Stored.UnixNano())
}

// OwnHeader is the event's header without revoker's and the server's.
func (l StoredLetter) OwnHeader() nats.Header {
	own := nats.Header{}
	for name, values := range l.Header {
		if lower := strings.ToLower(name); !strings.HasPrefix(lower, "nats-") && !strings.HasPrefix(lower, "revoker-") {
			own[name] = values
		}
	}
	return own
}

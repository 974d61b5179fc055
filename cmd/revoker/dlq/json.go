package dlq

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"revoker/cmd/revoker/terminal"
	"revoker/events"
	"revoker/events/dlq"
)

// letterJSON is a dead letter for programs. The session is masked; what only `dlq show` prints is in shownJSON.
type letterJSON struct {
	Stream         string     `json:"stream"`
	Sequence       uint64     `json:"sequence"`
	Stored         time.Time  `json:"stored"`
	Reason         string     `json:"reason"`
	Error          string     `json:"error"`
	HTTPStatus     int        `json:"httpStatus,omitempty"`
	ResultCode     string     `json:"resultCode,omitempty"`
	ResultMessage  string     `json:"resultMessage,omitempty"`
	Session        string     `json:"session,omitempty"`
	ReplayOf       string     `json:"replayOf,omitempty"`
	Event          originJSON `json:"event"`
	HeadersOmitted int        `json:"headersOmitted,omitempty"`
	PayloadOmitted int        `json:"payloadOmitted,omitempty"`
}

type originJSON struct {
	Stream       string    `json:"stream,omitempty"`
	Sequence     uint64    `json:"sequence,omitempty"`
	Subject      string    `json:"subject,omitempty"`
	Consumer     string    `json:"consumer,omitempty"`
	Deliveries   int       `json:"deliveries,omitempty"`
	Published    time.Time `json:"published,omitzero"`
	DeadLettered time.Time `json:"deadLettered,omitzero"`
}

// shownJSON has the event too. Payload is there if it is UTF-8, else PayloadBase64.
type shownJSON struct {
	letterJSON
	SessionID     string      `json:"sessionId,omitempty"`
	MessageID     string      `json:"messageId,omitempty"`
	Headers       nats.Header `json:"headers"`
	Payload       *string     `json:"payload,omitempty"`
	PayloadBase64 []byte      `json:"payloadBase64,omitempty"`
}

func newLetterJSON(l dlq.StoredLetter) letterJSON {
	return letterJSON{
		Stream: l.Stream, Sequence: l.Sequence, Stored: l.Stored, Reason: l.Reason, Error: events.MaskIn(l.Error, l.SessionID),
		HTTPStatus: l.HTTPStatus, ResultCode: l.ResultCode, ResultMessage: events.MaskIn(l.ResultMessage, l.SessionID),
		Session: l.SessionID.Mask(), ReplayOf: l.ReplayOf, HeadersOmitted: l.HeadersOmitted, PayloadOmitted: l.PayloadOmitted,
		Event: originJSON{
			Stream: l.Origin.Stream, Sequence: l.Origin.Sequence, Subject: l.Origin.Subject, Consumer: l.Origin.Consumer,
			Deliveries: l.Origin.Deliveries, Published: l.Origin.Published, DeadLettered: l.Origin.DeadLettered,
		},
	}
}

func newShownJSON(l dlq.StoredLetter) shownJSON {
	shown := shownJSON{letterJSON: newLetterJSON(l), SessionID: string(l.SessionID), MessageID: l.Origin.MessageID, Headers: l.OwnHeader()}
	if utf8.Valid(l.Payload) {
		text := string(l.Payload)
		shown.Payload = &text
	} else {
		shown.PayloadBase64 = l.Payload
	}
	return shown
}

// groupJSON is the dead letters of one reason and result code.
type groupJSON struct {
	Reason     string    `json:"reason"`
	ResultCode string    `json:"resultCode,omitempty"`
	Count      int       `json:"count"`
	Oldest     time.Time `json:"oldest"`
	Newest     time.Time `json:"newest"`
	Example    uint64    `json:"example"`
}

func groupsJSON(groups *dlq.LetterGroups) []groupJSON {
	list := []groupJSON{}
	for _, g := range groups.List() {
		list = append(list, groupJSON{g.Reason, g.ResultCode, g.Count, g.Oldest, g.Newest, g.Example})
	}
	return list
}

// writeListJSON writes one object whose letters come last, one a line, so that they need not be in memory at once.
func writeListJSON(out io.Writer, stream string, groups *dlq.LetterGroups, letters letterSeq) error {
	name, _ := json.Marshal(stream)
	counts, err := json.Marshal(groupsJSON(groups))
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(out)
	fmt.Fprintf(buffered, `{"stream":%s,"total":%d,"groups":%s,"letters":[`, name, groups.Total, terminal.PrintableJSON(counts))
	separator := "\n"
	for letter, err := range letters {
		if err != nil {
			return err
		}
		line, err := json.Marshal(newLetterJSON(letter))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(buffered, "%s%s", separator, terminal.PrintableJSON(line)); err != nil {
			return err
		}
		separator = ",\n"
	}
	fmt.Fprintln(buffered, "\n]}")
	return buffered.Flush()
}

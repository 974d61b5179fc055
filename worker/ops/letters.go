package ops

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"revoker/events"
	"revoker/events/dlq"
)

const (
	readTimeout  = 30 * time.Second // of a look at the dead letters
	lettersShown = 100              // the newest
	payloadShown = 64 << 10
)

// selection is a choice of dead letters, as the page sends it.
type selection struct {
	Reason     string    `json:"reason"`
	ResultCode string    `json:"code"`
	Since      time.Time `json:"since"`
	Until      time.Time `json:"until"`
	Session    string    `json:"session"`
	Sequences  []uint64  `json:"sequences"`
	// Last bounds the choice to what was there when it was counted; 0 does not.
	Last uint64 `json:"last"`
}

func (s selection) events() dlq.Selection {
	chosen := dlq.Selection{Reason: s.Reason, ResultCode: s.ResultCode, Since: s.Since, Until: s.Until, Session: s.Session}
	for _, sequence := range s.Sequences {
		chosen.Sequences = append(chosen.Sequences, dlq.SequenceRange{First: sequence, Last: sequence})
	}
	if len(s.Sequences) == 0 && s.Last > 0 {
		chosen.Sequences = []dlq.SequenceRange{{First: 1, Last: s.Last}}
	}
	return chosen
}

// letterRow is a dead letter in the list, its session masked.
type letterRow struct {
	Sequence   uint64    `json:"sequence"`
	Stored     time.Time `json:"stored"`
	Reason     string    `json:"reason"`
	ResultCode string    `json:"code"`
	HTTPStatus int       `json:"status"`
	Session    string    `json:"session"`
	Error      string    `json:"error"`
	ReplayOf   string    `json:"replayOf,omitempty"`
}

func rowOf(l dlq.StoredLetter) letterRow {
	return letterRow{
		Sequence: l.Sequence, Stored: l.Stored, Reason: l.Reason, ResultCode: l.ResultCode, HTTPStatus: l.HTTPStatus,
		Session: mask(l.SessionID), Error: events.MaskIn(l.Error, l.SessionID), ReplayOf: l.ReplayOf,
	}
}

// groupRow is the letters of one reason and result code.
type groupRow struct {
	Reason     string    `json:"reason"`
	ResultCode string    `json:"code"`
	Count      int       `json:"count"`
	Oldest     time.Time `json:"oldest"`
	Newest     time.Time `json:"newest"`
}

// letterList is what a choice of dead letters comes to.
type letterList struct {
	Total  int         `json:"total"`
	Last   uint64      `json:"last"` // the newest of them
	Groups []groupRow  `json:"groups"`
	Newest []letterRow `json:"letters"`
}

// letters counts the chosen dead letters and lists the newest. It changes nothing; it is a POST so that no session ID gets into
// an address.
func (c *console) letters(w http.ResponseWriter, r *http.Request) {
	var request selection
	if !understand(w, r, &request) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(readTimeout + writeTimeout))
	store, err := c.store(ctx)
	if err != nil {
		answer(w, http.StatusBadGateway, failure{err.Error()})
		return
	}
	list, err := listLetters(ctx, store, request.events())
	if err != nil {
		answer(w, http.StatusBadGateway, failure{err.Error()})
		return
	}
	answer(w, http.StatusOK, list)
}

func (c *console) store(ctx context.Context) (*dlq.LetterStore, error) {
	conn, _ := c.server.parts()
	if conn == nil || !conn.Connected() {
		return nil, errors.New("not connected to NATS")
	}
	return dlq.OpenLetters(ctx, conn, c.cfg)
}

func listLetters(ctx context.Context, store *dlq.LetterStore, chosen dlq.Selection) (letterList, error) {
	var groups dlq.LetterGroups
	list := letterList{Groups: []groupRow{}, Newest: []letterRow{}}
	var newest [lettersShown]letterRow
	for l, err := range store.All(ctx, chosen, nil) {
		if err != nil {
			return list, err
		}
		newest[groups.Total%lettersShown] = rowOf(l)
		groups.Add(l)
		list.Last = l.Sequence
	}
	list.Total = groups.Total
	for n := list.Total; n > max(list.Total-lettersShown, 0); n-- {
		list.Newest = append(list.Newest, newest[(n-1)%lettersShown])
	}
	for _, g := range groups.List() {
		list.Groups = append(list.Groups, groupRow{g.Reason, g.ResultCode, g.Count, g.Oldest, g.Newest})
	}
	return list, nil
}

// letterDetail is one dead letter with all its facts. The session ID is in it only for those who are signed in.
type letterDetail struct {
	letterRow
	Message    string              `json:"message"`
	Origin     dlq.Origin          `json:"origin"`
	Headers    map[string][]string `json:"headers"`
	Payload    string              `json:"payload"`
	Encoding   string              `json:"encoding"` // text or base64
	Cut        int                 `json:"cut"`      // bytes of payload that are not shown
	Omitted    int                 `json:"omitted"`  // bytes of payload that did not fit into the letter
	MaskedOnly bool                `json:"masked"`
}

func (c *console) letter(w http.ResponseWriter, r *http.Request) {
	sequence, err := strconv.ParseUint(r.PathValue("sequence"), 10, 64)
	if err != nil {
		answer(w, http.StatusNotFound, failure{"No such dead letter."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	store, err := c.store(ctx)
	if err != nil {
		answer(w, http.StatusBadGateway, failure{err.Error()})
		return
	}
	l, err := store.Get(ctx, sequence)
	switch {
	case errors.Is(err, dlq.ErrNoLetter):
		answer(w, http.StatusNotFound, failure{"This dead letter is gone: somebody replayed or discarded it, or it reached its age."})
		return
	case err != nil:
		answer(w, http.StatusBadGateway, failure{err.Error()})
		return
	}
	operator, signedIn := c.gate.who(r)
	if signedIn {
		c.gate.log.Info("an operator looked at a dead letter", "operator", operator, "from", r.RemoteAddr, "sequence", sequence)
	}
	answer(w, http.StatusOK, detailOf(l, signedIn))
}

func detailOf(l dlq.StoredLetter, clear bool) letterDetail {
	shown := func(text string) string {
		if clear {
			return text
		}
		return events.MaskIn(text, l.SessionID)
	}
	d := letterDetail{
		letterRow: rowOf(l), Message: shown(l.ResultMessage), Origin: l.Origin, Headers: map[string][]string{},
		Encoding: "text", Omitted: l.PayloadOmitted, MaskedOnly: !clear,
	}
	d.Origin.MessageID = shown(d.Origin.MessageID)
	for name, values := range l.OwnHeader() {
		for _, value := range values {
			d.Headers[shown(name)] = append(d.Headers[shown(name)], shown(value))
		}
	}
	payload := l.Payload
	if len(payload) > payloadShown {
		payload, d.Cut = payload[:payloadShown], len(payload)-payloadShown
	}
	switch {
	case !clear && l.SessionID == "" && len(payload) > 0: // what can't be decoded may still hold one
		d.Payload, d.Encoding = "", "hidden"
	case utf8.Valid(payload):
		d.Payload = shown(string(payload))
	case clear:
		d.Payload, d.Encoding = base64.StdEncoding.EncodeToString(payload), "base64"
	default:
		d.Encoding = "hidden"
	}
	return d
}

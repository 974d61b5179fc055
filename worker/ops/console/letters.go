package console

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"revoker/config"
	"revoker/events/dlq"
)

const (
	listTimeout  = time.Minute      // for a list of dead letters, the wait for its turn included
	readTimeout  = 10 * time.Second // for one letter
	lettersShown = 100              // the newest
	// maxSequences is how many letters can be chosen one by one: as many as the page shows.
	maxSequences   = lettersShown
	payloadShown   = 64 << 10
	visitorLookups = 4 // letters that are read at a time for those who are not signed in
)

// selection is a choice of dead letters, as the page sends it.
type selection struct {
	Reason     string    `json:"reason"`
	ResultCode string    `json:"resultCode"`
	Since      time.Time `json:"since"`
	Until      time.Time `json:"until"`
	Session    string    `json:"session"`
	Sequences  []uint64  `json:"sequences"`
	// First and Last bound the choice to what was counted. 0 means no bound.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// Created is when the stream was created whose letters were listed or counted. The zero time matches any stream.
	Created time.Time `json:"created"`
}

// check refuses a choice that is too long.
func (s selection) check() error {
	if len(s.Sequences) > maxSequences {
		return fmt.Errorf("at most %d dead letters can be chosen one by one; use a filter, or revoker dlq", maxSequences)
	}
	return nil
}

func (s selection) events() dlq.Selection {
	chosen := dlq.Selection{Reason: s.Reason, ResultCode: s.ResultCode, Since: s.Since, Until: s.Until, Session: s.Session}
	for _, sequence := range s.Sequences {
		chosen.Sequences = append(chosen.Sequences, dlq.SequenceRange{First: sequence, Last: sequence})
	}
	if len(s.Sequences) == 0 && s.Last > 0 {
		chosen.Sequences = []dlq.SequenceRange{{First: max(s.First, 1), Last: s.Last}}
	}
	return chosen
}

// letterRow is a dead letter in the list, its session masked.
type letterRow struct {
	Sequence   uint64    `json:"sequence"`
	Stored     time.Time `json:"stored"`
	Reason     string    `json:"reason"`
	ResultCode string    `json:"resultCode"`
	HTTPStatus int       `json:"httpStatus"`
	Session    string    `json:"session"`
	Error      string    `json:"error"`
	// Brief is what Error says beyond reason and result code, short enough for a line of the list.
	Brief    string `json:"brief"`
	ReplayOf string `json:"replayOf,omitempty"`
}

// rowOf returns the same row for everybody, signed in or not.
func rowOf(l dlq.StoredLetter, cfg config.Config) letterRow {
	return letterRow{
		Sequence: l.Sequence, Stored: l.Stored, Reason: publicReason(l.Reason), ResultCode: publicCode(l.ResultCode), HTTPStatus: l.HTTPStatus,
		Session: l.SessionID.Mask(), Error: publicError(l, cfg), Brief: briefError(l, cfg), ReplayOf: l.ReplayOf,
	}
}

// groupRow counts the letters of one reason and result code.
type groupRow struct {
	Reason     string    `json:"reason"`
	ResultCode string    `json:"resultCode"`
	Count      int       `json:"count"`
	Oldest     time.Time `json:"oldest"`
	Newest     time.Time `json:"newest"`
	// LastHour and LastDay are how many came lately.
	LastHour int `json:"lastHour"`
	LastDay  int `json:"lastDay"`
}

// letterList describes the chosen dead letters.
type letterList struct {
	Total int `json:"total"`
	// First and Last are the sequences between which letters were counted. Partial tells that there are letters before First.
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
	Partial bool   `json:"partial"`
	// Since is when the first of the counted letters was stored, the zero time if there is none. If the list is partial, more may have
	// come since a time before it than were counted.
	Since time.Time `json:"since"`
	// Created is when the stream was created. An action on these letters sends it back.
	Created time.Time   `json:"created"`
	Groups  []groupRow  `json:"groups"`
	Newest  []letterRow `json:"letters"`
}

// letters counts the chosen dead letters and lists the newest. It changes nothing. It is a POST so that no session ID gets into
// a URL.
func (c *Console) letters(w http.ResponseWriter, r *http.Request) {
	var request struct {
		selection
		Exact bool `json:"exact"` // an operator is about to act on the count
	}
	if !decode(w, r, &request) {
		return
	}
	_, operator := c.gate.who(r)
	if request.Exact && !operator {
		c.gate.refuse(w)
		return
	}
	if err := request.check(); err != nil {
		answer(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), listTimeout)
	defer cancel()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(listTimeout + writeTimeout))
	list, err := c.scans.list(ctx, request.selection, !operator, request.Exact)
	switch {
	case errors.Is(err, errBusy), errors.Is(err, errClosed):
		w.Header().Set("Retry-After", "5")
		answer(w, http.StatusServiceUnavailable, failure{err.Error()})
	case err != nil:
		answer(w, statusOf(err), failure{err.Error()})
	default:
		answer(w, http.StatusOK, list)
	}
}

// errRecreated refuses what was chosen on a stream that is not there any more: its sequences name other letters now.
var errRecreated = errors.New("the dead-letter stream was deleted and created anew since you looked; refresh the list and choose again")

// on returns an error if the store's stream is not the one that the choice was made on.
func (s selection) on(store *dlq.LetterStore) error {
	if !s.Created.IsZero() && !s.Created.Equal(store.Created()) {
		return errRecreated
	}
	return nil
}

// statusOf returns the HTTP status of the answer to a request that failed with err.
func statusOf(err error) int {
	if errors.Is(err, errRecreated) {
		return http.StatusConflict
	}
	return http.StatusBadGateway
}

func (c *Console) store(ctx context.Context) (*dlq.LetterStore, error) {
	conn, _ := c.parts()
	if conn == nil || !conn.Connected() {
		return nil, errors.New("not connected to NATS")
	}
	return dlq.OpenLetters(ctx, conn, c.cfg)
}

func (c *Console) listLetters(ctx context.Context, store *dlq.LetterStore, chosen dlq.Selection) (letterList, error) {
	groups := dlq.LetterGroups{Now: time.Now()}
	list := letterList{Groups: []groupRow{}, Newest: []letterRow{}}
	var newest [lettersShown]letterRow
	for l, err := range store.All(ctx, chosen, nil) {
		if err != nil {
			return list, err
		}
		if groups.Total == 0 {
			list.Since = l.Stored.UTC()
		}
		newest[groups.Total%lettersShown] = rowOf(l, c.cfg)
		l.Reason, l.ResultCode = publicReason(l.Reason), publicCode(l.ResultCode)
		groups.Add(l)
	}
	list.Total = groups.Total
	for n := list.Total; n > max(list.Total-lettersShown, 0); n-- {
		list.Newest = append(list.Newest, newest[(n-1)%lettersShown])
	}
	for _, g := range groups.List() {
		list.Groups = append(list.Groups, groupRow{g.Reason, g.ResultCode, g.Count, g.Oldest, g.Newest, g.LastHour, g.LastDay})
	}
	return list, nil
}

// letterDetail is one dead letter with all its facts. A visitor gets only the facts whose form is known.
type letterDetail struct {
	letterRow
	Event    *publicEvent        `json:"event,omitempty"` // absent if it can't be decoded
	Message  string              `json:"resultMessage"`
	Origin   dlq.Origin          `json:"origin"`
	Headers  map[string][]string `json:"headers"`
	Payload  string              `json:"payload"`
	Encoding string              `json:"encoding"` // text, base64 or hidden
	Cut      int                 `json:"cut"`      // bytes of payload that are not shown
	Omitted  int                 `json:"omitted"`  // bytes of payload that did not fit into the letter
	Masked   bool                `json:"masked"`
	Created  time.Time           `json:"created"` // of the stream
}

func (c *Console) letter(w http.ResponseWriter, r *http.Request) {
	sequence, err := strconv.ParseUint(r.PathValue("sequence"), 10, 64)
	if err != nil {
		answer(w, http.StatusNotFound, failure{"No such dead letter."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(readTimeout + writeTimeout))
	operator, signedIn := c.gate.who(r)
	if !signedIn {
		select {
		case c.lookups <- struct{}{}:
			defer func() { <-c.lookups }()
		case <-ctx.Done():
			answer(w, http.StatusServiceUnavailable, failure{"Too many dead letters are being read. Try again in a moment."})
			return
		}
	}
	store, err := c.store(ctx)
	if err != nil {
		answer(w, http.StatusBadGateway, failure{err.Error()})
		return
	}
	l, err := store.Get(ctx, sequence)
	switch {
	case errors.Is(err, dlq.ErrNoLetter):
		answer(w, http.StatusNotFound, failure{"This dead letter is gone. Somebody replayed or discarded it, or the stream has a maximum age."})
		return
	case err != nil:
		answer(w, http.StatusBadGateway, failure{err.Error()})
		return
	}
	if signedIn {
		c.gate.log.Info("an operator looked at a dead letter", "operator", operator, "from", r.RemoteAddr, "sequence", sequence)
	}
	detail := publicLetter(l, c.cfg)
	if signedIn {
		detail = fullDetail(l, c.cfg)
	}
	detail.Created = store.Created()
	answer(w, http.StatusOK, detail)
}

func publicLetter(l dlq.StoredLetter, cfg config.Config) letterDetail {
	return letterDetail{
		letterRow: rowOf(l, cfg), Event: publicEventOf(l, cfg), Origin: publicOrigin(l.Origin, cfg), Headers: map[string][]string{},
		Encoding: "hidden", Omitted: l.PayloadOmitted, Masked: true,
	}
}

// fullDetail has everything that is in the letter, the session ID included.
func fullDetail(l dlq.StoredLetter, cfg config.Config) letterDetail {
	d := letterDetail{
		letterRow: rowOf(l, cfg), Event: publicEventOf(l, cfg), Message: l.ResultMessage, Origin: l.Origin, Headers: l.OwnHeader(),
		Encoding: "text", Omitted: l.PayloadOmitted,
	}
	d.Reason, d.ResultCode, d.Error = l.Reason, l.ResultCode, l.Error
	payload := l.Payload
	if len(payload) > payloadShown {
		payload, d.Cut = payload[:payloadShown], len(payload)-payloadShown
	}
	if utf8.Valid(payload) {
		d.Payload = string(payload)
	} else {
		d.Payload, d.Encoding = base64.StdEncoding.EncodeToString(payload), "base64"
	}
	return d
}

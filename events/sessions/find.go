package sessions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/events/dlq"
)

// State is what became of a session.
type State string

// The states.
const (
	// Revoked has a receipt.
	Revoked State = "revoked"
	// Queued has an event that was never delivered.
	Queued State = "queued"
	// Waiting has an event whose last attempt failed, and whose next one is known.
	Waiting State = "waiting"
	// Delivered has an event that was delivered, and of which no more is known: it is in work or waits for its next attempt. If there
	// are no receipts, it may be settled as well.
	Delivered State = "delivered"
	// DeadLetter was given up.
	DeadLetter State = "dead-letter"
	// NotFound has left no trace where it was looked for. It may be revoked all the same.
	NotFound State = "not-found"
)

// Key names the session that is looked for.
type Key struct {
	hash    string
	service string // of events that name none
}

// ByID is the key of a session by its ID, at an Authlete service. defaultService is that of events that name none.
func ByID(id events.SessionID, service, defaultService string) Key {
	return Key{hash: events.SessionHash(service, id), service: defaultService}
}

// ByHash is the key of a session by its hash, as receipts have it. The whole SHA-256 will do too.
func ByHash(hash, defaultService string) (Key, error) {
	length := len(events.SessionHash("", ""))
	hash = strings.ToLower(hash)
	if len(hash) != length && len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return Key{}, fmt.Errorf("a session's hash has %d hex digits: the first of the SHA-256 of service ID, NUL, session ID", length)
	}
	return Key{hash: hash[:length], service: defaultService}, nil
}

// Hash is the session's.
func (k Key) Hash() string { return k.hash }

// matches reports whether an event is about the session.
func (k Key) matches(event events.Event, err error) bool {
	if err != nil || event.SessionID == "" {
		return false
	}
	service := event.ServiceID
	if service == "" {
		service = k.service
	}
	return events.SessionHash(service, event.SessionID) == k.hash
}

// Answer is what was found.
type Answer struct {
	// Session is the session's hash.
	Session string `json:"session"`
	State   State  `json:"state"`
	// Receipt is the last one.
	Receipt *Receipt `json:"receipt,omitempty"`
	// OldestReceipt is when the oldest receipt that is kept was stored: of earlier revocations nothing is known. It is nil if there is
	// no receipt at all.
	OldestReceipt *time.Time `json:"oldestReceipt,omitempty"`
	// Event is one that is not settled, as far as is known.
	Event *Event `json:"event,omitempty"`
	// DeadLetters are those of the session, oldest first, at most 100.
	DeadLetters []Letter `json:"deadLetters"`
	// Events and Letters tell how many were looked at, of how many there are. Both are nil if the receipt was answer enough.
	Events  *Looked `json:"eventsLookedAt,omitempty"`
	Letters *Looked `json:"deadLettersLookedAt,omitempty"`
	// Unknown says what could not be found out, and why.
	Unknown []string `json:"unknown,omitempty"`
}

// Looked tells how many were looked at, of how many there are.
type Looked struct {
	At int `json:"at"`
	Of int `json:"of"`
}

// Whole reports whether all were looked at.
func (l *Looked) Whole() bool { return l == nil || l.At >= l.Of }

// Options bound a search.
type Options struct {
	// Scan is how long to look through dead letters and events.
	Scan time.Duration
	// All looks through them even if there is a receipt, for what came before it or after.
	All bool
}

// Find looks for a session. It takes a few requests if there is a receipt, and otherwise as long as the options allow, however long
// the streams are. What could not be read is named in the answer. Without any it is an error.
func Find(ctx context.Context, c *events.Conn, cfg config.Config, key Key, options Options) (Answer, error) {
	f := &finder{conn: c, cfg: cfg, key: key, Answer: Answer{Session: key.hash, DeadLetters: []Letter{}}}
	receiptErr := f.readReceipt(ctx)
	f.unknown("receipts", receiptErr)
	if f.Receipt == nil || options.All {
		var scans sync.WaitGroup
		var lettersErr, queueErr error
		scans.Go(func() { lettersErr = f.readLetters(ctx, options.Scan) })
		scans.Go(func() { queueErr = f.readQueue(ctx, options.Scan) })
		scans.Wait()
		f.unknown("dead letters", lettersErr)
		f.unknown("events", queueErr)
		if receiptErr != nil && lettersErr != nil && queueErr != nil {
			return Answer{}, queueErr
		}
	}
	if ctx.Err() != nil {
		return Answer{}, ctx.Err()
	}
	f.decide(ctx)
	return f.Answer, nil
}

// finder is one search. Each of its scans writes its own members.
type finder struct {
	Answer
	conn  *events.Conn
	cfg   config.Config
	key   Key
	found *found // the event
}

func (f *finder) unknown(what string, err error) {
	if err != nil {
		f.Unknown = append(f.Unknown, what+": "+events.OneLine(err.Error()))
	}
}

// decide names the state: that of the event that was published last.
func (f *finder) decide(ctx context.Context) {
	event := f.Event
	if event != nil && (f.Receipt.of(event) || slices.ContainsFunc(f.DeadLetters, func(l Letter) bool { return l.of(event) })) {
		event, f.Event = nil, nil // it is settled
	}
	last := len(f.DeadLetters) - 1
	switch {
	case event != nil && event.queued:
		f.State = Queued
	case event != nil:
		f.State = Delivered
		if f.askWorkers(ctx); event.Next != nil {
			f.State = Waiting
		} else if f.Receipt != nil { // a later event may be settled without one of its own
			f.State = Revoked
		}
	case f.Receipt != nil && (last < 0 || f.Receipt.RevokedAt.After(f.DeadLetters[last].Stored)):
		f.State = Revoked
	case last >= 0:
		f.State = DeadLetter
	default:
		f.State = NotFound
	}
}

// Letter is a dead letter of the session.
type Letter struct {
	Name       string    `json:"name"`
	Sequence   uint64    `json:"sequence"`
	Stored     time.Time `json:"stored"`
	Reason     string    `json:"reason"`
	ResultCode string    `json:"resultCode,omitempty"`
	// Error is a sentence, with the session masked.
	Error string `json:"error,omitempty"`
	// Attempts is how often the event was delivered.
	Attempts int `json:"attempts"`
	// Published is when the event was.
	Published time.Time `json:"published"`

	origin dlq.Origin
}

// of reports whether the letter is that of an event.
func (l Letter) of(e *Event) bool {
	return l.origin.Stream == e.Stream && l.origin.Sequence == e.Sequence && l.origin.Published.Equal(e.Published)
}

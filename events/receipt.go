package events

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events/internal/conn"
)

// ReceiptType is the CloudEvents type of a receipt.
const ReceiptType = "session.revoked"

const (
	// hashLength is how many hex digits of a session's SHA-256 name it. Twelve, as in logs, collide among millions.
	hashLength = 32
	// receiptWindow bounds the receipts that are not confirmed yet. A stream that confirms nothing reaches it; a slow one does not:
	// 4,096 confirmations of 100 ms each are 40,000 a second.
	receiptWindow = 4096
	// receiptUnheard is how many nats.go takes before it makes the caller wait: more than can time out within receiptTimeout.
	receiptUnheard = 1 << 20
	// receiptTimeout is for one confirmation.
	receiptTimeout = 5 * time.Second
	// errorWrongSequence is an error code of the JetStream API: the subject has another last message than was expected.
	errorWrongSequence = 10071
)

// ErrReceiptsPending says that too many receipts wait for their confirmation to publish another.
var ErrReceiptsPending = errors.New("too many receipts wait for their confirmation")

// SessionHash names a session where its ID must not be seen: the first 32 hex digits of the SHA-256 of service ID, NUL, session ID.
// Whoever can guess the ID can check the guess.
func SessionHash(service string, id SessionID) string {
	return Event{ServiceID: service, SessionID: id}.hash()[:hashLength]
}

// ReceiptSubject is the subject of the receipts of a session.
func ReceiptSubject(cfg config.Config, hash string) string { return cfg.ReceiptSubject + "." + hash }

// Receipt says that a session was revoked.
type Receipt struct {
	// Event is the event, with the service that was called.
	Event Event
	// RevokedAt is when the API answered.
	RevokedAt time.Time
	// Tokens is how many token records it deleted. ResultCode is its own.
	Tokens     int
	ResultCode string
	// Attempts is how often the event had been delivered by then.
	Attempts int
}

// Receipts publishes receipts. It is safe for concurrent use.
type Receipts struct {
	cfg config.Config
	js  jetstream.JetStream

	mu      sync.Mutex
	pending map[*nats.Msg]func(kept bool, err error)
}

// NewReceipts returns what publishes them to the configured stream, which a worker finds or creates when it begins.
func NewReceipts(c *Conn, cfg config.Config) (*Receipts, error) {
	r := &Receipts{cfg: cfg, pending: map[*nats.Msg]func(bool, error){}}
	var err error
	r.js, err = jetstream.New(c.NC(),
		jetstream.WithPublishAsyncMaxPending(receiptUnheard),
		jetstream.WithPublishAsyncTimeout(receiptTimeout),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, msg *nats.Msg, ack *jetstream.PubAck) { r.confirmed(msg, ack) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, msg *nats.Msg, err error) { r.failed(msg, err) }),
	)
	if err != nil {
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	c.Ignore("receipts", r.denied)
	return r, nil
}

// Publish stores the receipt of a delivery. It does not wait: done is called once, from any goroutine, when the stream has
// confirmed the receipt or it has failed, which takes seconds at most. A call that deleted nothing does not replace the receipt of
// one that did. Then kept is true, and the session has its receipt.
func (r *Receipts) Publish(d *Delivery, receipt Receipt, done func(kept bool, err error)) {
	msg := r.message(d, receipt)
	if err := r.expect(msg, done); err != nil {
		done(false, fmt.Errorf("publishing a receipt: %w", err))
		return
	}
	if _, err := r.js.PublishMsgAsync(msg); err != nil {
		r.failed(msg, err)
	}
}

func (r *Receipts) message(d *Delivery, receipt Receipt) *nats.Msg {
	hash := SessionHash(receipt.Event.ServiceID, receipt.Event.SessionID)
	payload := receiptEvent(d, hash, receipt.RevokedAt, receipt.facts(d))
	header := receiptHeader
	if receipt.Tokens == 0 {
		header = firstReceiptHeader
	}
	return &nats.Msg{Subject: ReceiptSubject(r.cfg, hash), Data: payload, Header: header}
}

// The headers of receipts, which nothing changes. With the second the stream stores a receipt only if its subject has none.
var (
	receiptHeader      = nats.Header{"Content-Type": {structuredType}}
	firstReceiptHeader = nats.Header{"Content-Type": {structuredType}, jetstream.ExpectedLastSubjSeqHeader: {"0"}}
)

// expect notes whom to tell of the message.
func (r *Receipts) expect(msg *nats.Msg, done func(bool, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) >= receiptWindow {
		return ErrReceiptsPending
	}
	r.pending[msg] = done
	return nil
}

// take returns whom to tell of the message, once. Whoever is late is told nothing, and tells nothing.
func (r *Receipts) take(msg *nats.Msg) func(bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := r.pending[msg]
	delete(r.pending, msg)
	if done == nil {
		return func(bool, error) {}
	}
	return done
}

func (r *Receipts) confirmed(msg *nats.Msg, ack *jetstream.PubAck) {
	if ack.Stream != r.cfg.ReceiptStream {
		r.failed(msg, errOtherStream)
		return
	}
	r.take(msg)(false, nil)
}

// failed may be called by nats.go with a lock of its own held, so nothing is published here.
func (r *Receipts) failed(msg *nats.Msg, err error) {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == errorWrongSequence {
		r.take(msg)(true, nil)
		return
	}
	r.take(msg)(false, fmt.Errorf("publishing a receipt to %s.*: %w", r.cfg.ReceiptSubject, r.explain(err)))
}

// denied fails the receipt that the account may not publish, at once. It reports whether the violation is about one.
func (r *Receipts) denied(violation error) bool {
	prefix := r.cfg.ReceiptSubject + "."
	_, after, found := strings.Cut(violation.Error(), `"`+prefix)
	if !found {
		return false
	}
	hash, _, _ := strings.Cut(after, `"`)
	r.mu.Lock()
	var refused []*nats.Msg
	for msg := range r.pending {
		if msg.Subject == prefix+hash {
			refused = append(refused, msg)
		}
	}
	r.mu.Unlock()
	for _, msg := range refused {
		r.failed(msg, conn.ErrDenied)
	}
	return true
}

// explain says what to do about errors that an operator can end.
func (r *Receipts) explain(err error) error {
	switch {
	case errors.Is(err, errOtherStream):
		return fmt.Errorf("they are %w than %s (REVOKER_RECEIPT_STREAM)", err, r.cfg.ReceiptStream)
	case unanswered(err):
		return fmt.Errorf("no stream answers: there is none (`revoker setup` creates it), or it has no leader at the moment: %w", err)
	}
	return conn.Reword(err)
}

// Pending is how many receipts wait for their confirmation.
func (r *Receipts) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending)
}

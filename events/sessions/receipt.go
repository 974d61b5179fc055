package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/internal/conn"
	"revoker/events/jsonobject"
)

// Receipt is what a receipt says.
type Receipt struct {
	RevokedAt time.Time `json:"revokedAt"`
	events.ReceiptFacts
	// Stored is when the stream stored it.
	Stored time.Time `json:"stored"`
}

// of reports whether the receipt is that of an event. A nil one is of none.
func (r *Receipt) of(e *Event) bool {
	return r != nil && r.Stream == e.Stream && r.Sequence == e.Sequence && r.PublishedAt.Equal(e.Published)
}

// errReceipt is for what no worker of revoker's has written.
var errReceipt = errors.New("what is stored for the session is not a receipt")

// readReceipt asks for the last message on the session's subject. If there is none, it asks how far back the receipts go.
func (f *finder) readReceipt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	msg, err := f.conn.Message(ctx, f.cfg.ReceiptStream, conn.Place{LastOn: events.ReceiptSubject(f.cfg, f.key.hash)})
	var api *jetstream.APIError
	switch {
	case err == nil:
		f.Receipt, err = decodeReceipt(msg)
		return err
	case errors.Is(err, conn.ErrNoMessage):
		return f.readOldest(ctx)
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return fmt.Errorf("there is no stream %s: set REVOKER_RECEIPTS=true for the workers, and `revoker setup` creates it", f.cfg.ReceiptStream)
	}
	return err
}

func (f *finder) readOldest(ctx context.Context) error {
	stream, err := f.conn.LookUp(ctx, f.cfg.ReceiptStream, "REVOKER_RECEIPT_STREAM")
	if err != nil {
		return err
	}
	if state := stream.CachedInfo().State; state.Msgs > 0 {
		f.OldestReceipt = &state.FirstTime
	}
	return nil
}

// decodeReceipt reads a receipt. Its subject was asked for, so whoever may publish there is trusted with the rest.
func decodeReceipt(msg conn.StoredMessage) (*Receipt, error) {
	receipt := &Receipt{Stored: msg.Published}
	var kind string
	var data json.RawMessage
	err := decode(msg.Payload, map[string]any{"type": &kind, "time": &receipt.RevokedAt, "data": &data})
	if err != nil || kind != events.ReceiptType || receipt.RevokedAt.IsZero() {
		return nil, errReceipt
	}
	facts := &receipt.ReceiptFacts
	if err := decode(data, map[string]any{
		"serviceId": &facts.ServiceID, "tokensDeleted": &facts.TokensDeleted, "resultCode": &facts.ResultCode, "attempts": &facts.Attempts,
		"msSinceEnded": &facts.SinceEnded, "msSincePublished": &facts.SincePublished, "source": &facts.Source, "lane": &facts.Lane,
		"stream": &facts.Stream, "sequence": &facts.Sequence, "publishedAt": &facts.PublishedAt,
	}); err != nil {
		return nil, errReceipt
	}
	receipt.ResultCode, receipt.Source = events.OneLine(receipt.ResultCode), events.OneLine(receipt.Source)
	return receipt, nil
}

// decode reads members of an object by their exact names, each at most once, where encoding/json takes names of any case and the last of
// two.
func decode(object []byte, members map[string]any) error {
	return jsonobject.Walk(object, func(name, value []byte) error {
		into, known := members[string(name)]
		if !known {
			return nil
		}
		if into == nil {
			return errReceipt
		}
		members[string(name)] = nil
		return json.Unmarshal(value, into)
	})
}

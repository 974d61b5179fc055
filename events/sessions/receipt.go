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
	var event struct {
		Type string               `json:"type"`
		Time time.Time            `json:"time"`
		Data *events.ReceiptFacts `json:"data"`
	}
	if err := json.Unmarshal(msg.Payload, &event); err != nil || event.Type != events.ReceiptType || event.Time.IsZero() || event.Data == nil {
		return nil, errReceipt
	}
	receipt := &Receipt{RevokedAt: event.Time, ReceiptFacts: *event.Data, Stored: msg.Published}
	receipt.ResultCode, receipt.Source = events.OneLine(receipt.ResultCode), events.OneLine(receipt.Source)
	return receipt, nil
}

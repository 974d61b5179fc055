package worker

import (
	"errors"
	"sync"
	"time"

	"revoker/events"
)

// Receipt says what became of the receipt of a revocation; empty without one.
type Receipt string

const (
	// ReceiptStored is one that was stored.
	ReceiptStored Receipt = "stored"
	// ReceiptKept is one that was not, because this call deleted nothing and the session has a receipt already.
	ReceiptKept Receipt = "kept"
)

// maxReceiptDelay bounds the delay of an event whose session is revoked, and whose receipt could not be published. To try again
// costs no call.
const maxReceiptDelay = 10 * time.Second

// Receipts makes the worker publish a receipt for each revocation. It comes before Run.
func (w *Worker) Receipts(r *events.Receipts) { w.receipts = r }

// confirm publishes the receipt of a revocation, and settles the delivery once that is confirmed. Meanwhile the slot makes the next
// call: a receipt stream that is slow must not slow the API's calls down. The delivery stays renewed, and a drain waits for it.
// Receipts that wait are bounded. One that is too many fails, as does one that the stream refuses: its event is handed back, and
// its session stays revoked without a second call.
func (w *Worker) confirm(a *attempt) {
	if a.attempts == 0 {
		a.attempts = a.delivery.Deliveries
	}
	w.confirms.Add(1)
	var once sync.Once
	done := func(kept bool, err error) { once.Do(func() { w.confirmed(a, kept, err) }) }
	defer w.survive(a, "publishing a receipt", func() { done(false, errPanicked) })
	w.receipts.Publish(a.delivery, w.receiptOf(a), done)
}

var errPanicked = errors.New("a defect in revoker: publishing a receipt panicked")

// confirmed settles a delivery whose receipt is stored, or is not.
func (w *Worker) confirmed(a *attempt, kept bool, err error) {
	defer w.confirms.Done()
	switch {
	case err != nil:
		w.early.put(keyOf(a.delivery), earlyCall{response: a.response, answered: a.answered, attempts: a.attempts})
		a.outcome, a.detail, a.receiptFailed = Retry, err.Error(), true
	case kept:
		a.receipt = ReceiptKept
	default:
		a.receipt = ReceiptStored
	}
	w.settle(a)
}

// receiptOf is the receipt of a revocation.
func (w *Worker) receiptOf(a *attempt) events.Receipt {
	receipt := events.Receipt{
		Event: a.event, RevokedAt: a.answered, Tokens: a.response.Count, ResultCode: a.response.ResultCode, Attempts: a.attempts,
	}
	if receipt.Event.ServiceID == "" {
		receipt.Event.ServiceID = w.service
	}
	return receipt
}

package worker

import (
	"errors"
	"sync"

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

// Receipts makes the worker publish a receipt for each revocation. It comes before Run.
func (w *Worker) Receipts(r *events.Receipts) { w.receipts = r }

// confirm publishes the receipt of a revocation, and settles the delivery once that is confirmed. Meanwhile the slot makes the next
// call: a receipt stream that is slow must not slow the API's calls down. The delivery stays renewed, and a drain waits for it.
// One that the stream refuses waits for another try. Those that wait are bounded: an event that is too many is handed back, and this
// worker revokes its session without a second call.
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
		failed := *a
		failed.outcome, failed.detail, failed.receiptFailed = Retry, err.Error(), true
		if w.keep(a, failed, func() { w.confirm(a) }) {
			return
		}
		w.early.put(keyOf(a.delivery), earlyCall{response: a.response, answered: a.answered, attempts: a.attempts})
		*a = failed
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

package worker_test

import (
	"strings"
	"testing"
	"time"

	"revoker/worker/authlete/sim"
)

// Several workers share the consumer. While neither receipts nor dead letters can be stored, each event stays with the worker that
// called the API for it, so that no second call is made.
func TestAFleetCallsOnceWhileNothingCanBeStored(t *testing.T) {
	t.Parallel()
	b := withReceipts(t, sim.Options{Tokens: 2, Rule: func(id string, _ int) sim.Answer {
		if strings.HasSuffix(id, "0") {
			return sim.Answer{Kind: sim.CallerError}
		}
		return sim.Answer{}
	}})
	for range 3 {
		b.start()
	}
	hearReceipts, hearLetters := b.deafen(b.cfg.ReceiptStream), b.deafen(b.cfg.DeadLetterStream)
	ids := sessions("s", 60)
	b.publishSession(ids...)
	b.waitFor("several tries of each", func() bool {
		for _, id := range ids {
			if len(b.outcomes(id)) < 3 {
				return false
			}
		}
		return true
	})
	if info := b.info(); info.NumAckPending != len(ids) {
		t.Errorf("%d events are not settled, want %d", info.NumAckPending, len(ids))
	}
	hearReceipts()
	hearLetters()
	b.waitDone()
	for _, id := range ids {
		if calls := len(b.api.Session(id).Calls); calls != 1 {
			t.Errorf("%s: %d calls", id, calls)
		}
		r, bad := b.receipt(id), strings.HasSuffix(id, "0")
		if bad != (r == nil) || r != nil && r.TokensDeleted != 2 {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if n := len(b.letters()); n != len(ids)/10 {
		t.Errorf("%d dead letters, want %d", n, len(ids)/10)
	}
}

// A drain tries once more, and hands back what still can't be stored. The next worker goes on.
func TestADrainHandsBackWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	b := withReceipts(t, sim.Options{Tokens: 1})
	b.cfg.RetryInitialInterval, b.cfg.RetryMaxInterval = time.Hour, time.Hour // no other try comes by itself
	stop := b.start()
	hear := b.deafen(b.cfg.ReceiptStream)
	ids := sessions("s", 20)
	b.publishSession(ids...)
	b.waitFor("a try of each", func() bool { return b.log.count("publishing a receipt") >= len(ids) })
	stop()
	hear()
	b.cfg.RetryInitialInterval, b.cfg.RetryMaxInterval = 40*time.Millisecond, time.Second
	b.start()
	b.waitDone()
	for _, id := range ids {
		if b.receipt(id) == nil {
			t.Errorf("%s has no receipt", id)
		}
	}
}

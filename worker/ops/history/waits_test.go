package history

import (
	"fmt"
	"testing"
	"time"

	"revoker/events"
	"revoker/events/peer"
	"revoker/worker"
	"revoker/worker/authlete"
)

// newTestWaits is one whose clock a test sets, in milliseconds.
func newTestWaits() (w *waits, set func(ms int)) {
	w = newWaits()
	began := time.Unix(1_700_000_000, 0)
	now := began
	w.now = func() time.Time { return now }
	return w, func(ms int) { now = began.Add(time.Duration(ms) * time.Millisecond) }
}

func retried(sequence uint64, deliveries int, delay time.Duration) worker.Settlement {
	return worker.Settlement{
		Outcome: worker.Retry, Sequence: sequence, Deliveries: deliveries, Delay: delay, Status: 500, Action: authlete.ActionServerError, ResultCode: "A503101",
		Session: events.SessionID(fmt.Sprint("SECRET-", sequence)), Detail: "SECRET text of the API",
	}
}

// An event waits from its hand-back until it is due. It is listed by that time, with the last attempt that was made.
func TestEventsThatWaitForTheirRetry(t *testing.T) {
	t.Parallel()
	w, at := newTestWaits()
	w.observe(worker.Settlement{Outcome: worker.Revoked, Sequence: 1, Deliveries: 1})
	w.observe(retried(2, 1, 20*time.Second))
	w.observe(retried(3, 4, 5*time.Second))
	w.observe(worker.Settlement{Outcome: worker.Interrupted, Sequence: 4, Deliveries: 2})
	w.observe(retried(5, 2, time.Second))
	w.observe(worker.Settlement{Outcome: worker.Deferred, Sequence: 5, Deliveries: 3, Delay: 10 * time.Second, Detail: "calls are paused"})
	w.observe(worker.Settlement{Outcome: worker.Deferred, Sequence: 6, Deliveries: 1, Delay: 10 * time.Second, Detail: "calls are paused"})
	list, known := w.soonest(30, false)
	if w.count() != 5 || known != 3 || len(list) != 3 || list[0].Sequence != 3 || list[1].Sequence != 5 || list[2].Sequence != 2 {
		t.Fatalf("%d wait, %d are known: %+v", w.count(), known, list)
	}
	if first := list[0]; first.Deliveries != 4 || first.Due.UnixMilli() != 1_700_000_005_000 || first.Session != "SECRET-3" || first.Status != 500 ||
		list[1].Status != 500 || list[1].Deliveries != 2 {
		t.Errorf("%+v", list)
	}
	at(5000)
	if list, known := w.soonest(30, true); w.count() != 3 || known != 3 || list[0].Sequence != 3 {
		t.Errorf("due while no worker takes events: %d wait, %d are known: %+v", w.count(), known, list)
	}
	w.observe(worker.Settlement{Outcome: worker.Revoked, Sequence: 3, Deliveries: 5})
	if list, _ := w.soonest(30, true); list[0].Sequence != 5 {
		t.Errorf("an event that came back is listed: %+v", list)
	}
	at(10_000)
	if list, known := w.soonest(30, false); w.count() != 1 || known != 1 || list[0].Sequence != 2 {
		t.Errorf("another worker may have it: %d wait, %d are known: %+v", w.count(), known, list)
	}
	w.observe(retried(2, 2, time.Minute)) // a server that was killed delivered it too soon
	if _, known := w.soonest(30, false); known != 1 {
		t.Errorf("%d are known of one event", known)
	}
}

// However many wait, so many are known one by one: those that are due soonest. All are counted.
func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	w, at := newTestWaits()
	for i := range 3 * maxWaits {
		w.observe(retried(uint64(i+1), 1, time.Duration(3*maxWaits-i)*time.Second))
	}
	list, known := w.soonest(30, false)
	if w.count() != 3*maxWaits || known != maxWaits || len(list) != 30 || list[0].Sequence != 3*maxWaits || cap(w.list) > 2*maxWaits {
		t.Errorf("%d wait, %d are known, %d are listed; the first is %d", w.count(), known, len(list), list[0].Sequence)
	}
	at(1000 * maxWaits)
	w.observe(retried(7777, 1, time.Second))
	if list, known := w.soonest(30, false); known != 1 || list[0].Sequence != 7777 || w.count() != 2*maxWaits+1 {
		t.Errorf("%d wait, %d are known: %+v", w.count(), known, list)
	}
	if n := len(w.due); n > 2*maxWaits+1 {
		t.Errorf("%d counts are kept of what is due already", n)
	}
}

// Calls that are short leave instants with none in flight. The mean does not.
func TestInFlightOnAverage(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory()
	for range 1000 {
		h.Observe(worker.Settlement{Outcome: worker.Revoked, Took: 20 * time.Millisecond})
	}
	at(1)
	if got := h.Complete(peer.State{}); got.InFlight != 0 || got.InHand != 20 || got.Waiting == nil {
		t.Errorf("%+v, want 20 in hand", got)
	}
	if got := h.Complete(peer.State{InHand: 90}); got.InHand != 90 {
		t.Errorf("%+v, want 90 in hand, for they are now", got)
	}
	h.Observe(worker.Settlement{Outcome: worker.Retry, Took: 10 * time.Minute})
	at(2)
	if got := h.Complete(peer.State{}); got.InHand != 64 {
		t.Errorf("%+v, more than there can be", got)
	}
	at(3)
	if got := h.Complete(peer.State{}); got.InHand != 0 {
		t.Errorf("%+v, a second later", got)
	}
}

func TestSettledPerSecond(t *testing.T) {
	t.Parallel()
	h, at := newTestHistory()
	for second := range int64(10) {
		at(second)
		for range 7 {
			h.Observe(worker.Settlement{Outcome: worker.Revoked})
		}
		h.Observe(worker.Settlement{Outcome: worker.Retry})
		h.Observe(worker.Settlement{Outcome: worker.Invalid})
	}
	if got := h.Complete(peer.State{}).SettledPerSecond; got != 8 {
		t.Errorf("%v a second, want 8", got)
	}
	at(100)
	if got := h.Complete(peer.State{}).SettledPerSecond; got != 0 {
		t.Errorf("%v a second after a silence", got)
	}
}

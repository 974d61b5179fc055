package worker

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"revoker/events"
	"revoker/worker/authlete"
)

// eventKey names one stored event. The sequence alone would not do: it means another event once the stream was created anew.
type eventKey struct {
	sequence  uint64
	published int64 // Unix ns
}

func keyOf(d *events.Delivery) eventKey { return eventKey{d.Sequence, d.Published.UnixNano()} }

// maxCharged bounds the events whose failures are counted: more can't wait for their retry (REVOKER_MAX_ACK_PENDING) by
// default.
const maxCharged = 50_000

// charges counts, for each event, the failures that the API itself answered to this worker. Nothing else is held against
// an event: a delivery count also counts probes, hand-backs, crashes, throttling and gateways. The counts are kept in memory.
// A restart forgets them, which can only delay a dead letter.
type charges struct {
	events atomic.Int64 // how many have a count: mostly none, which costs no lock

	mu     sync.Mutex
	counts map[eventKey]int
}

// charge counts one more failure and returns how many there are.
func (c *charges) charge(key eventKey) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[eventKey]int{}
	}
	if _, known := c.counts[key]; !known && len(c.counts) >= maxCharged {
		for other := range c.counts { // any of them
			delete(c.counts, other)
			break
		}
	}
	c.counts[key]++
	c.events.Store(int64(len(c.counts)))
	return c.counts[key]
}

// forget drops an event's count; the event is settled for good.
func (c *charges) forget(key eventKey) {
	if c.events.Load() == 0 {
		return
	}
	c.mu.Lock()
	delete(c.counts, key)
	c.events.Store(int64(len(c.counts)))
	c.mu.Unlock()
}

const (
	// leastCharges is how many answered failures this worker must have seen, however old the event is. So many more must follow each
	// other while the API works for others.
	leastCharges = 3
	// leastMaxAge is the least age that counts as one maximum age, for needed.
	leastMaxAge = time.Hour
)

// needed is how many failures the API must have answered before an event of this age may be condemned: the maximum of
// attempts, and less for an event that is several times older than the maximum age. The other workers took their part of its
// attempts, and restarts forgot some.
func needed(maxAttempts int, age, maxAge time.Duration) int {
	times := max(float64(age)/float64(max(maxAge, leastMaxAge)), 1)
	return max(int(math.Ceil(float64(maxAttempts)/times)), min(leastCharges, maxAttempts))
}

// exhausted decides whether a failure that the API answered just now may be the event's last. charged is how many it
// answered so far. What remains to be shown is that the API works for other sessions: see [Worker.failsAlone].
func exhausted(deliveries, charged, maxAttempts int, age, maxAge time.Duration) bool {
	return deliveries >= maxAttempts && age >= maxAge && charged >= needed(maxAttempts, age, maxAge)
}

// lastAttempt decides whether the event itself is at fault for the attempt that just failed, so that it must not be tried
// again. Only what the API answered for this very session, while the breaker is closed, is held against it.
func (w *Worker) lastAttempt(ctx context.Context, caller *authlete.Caller, a *attempt) bool {
	if !w.blames(a) {
		return false
	}
	d := a.delivery
	charged := w.charges.charge(keyOf(d))
	return exhausted(d.Deliveries, charged, w.cfg.RetryMaxAttempts, time.Since(d.Published), w.cfg.RetryMaxAge) && w.failsAlone(ctx, caller, a)
}

// blames reports whether the attempt's failure may be held against its event.
func (w *Worker) blames(a *attempt) bool {
	return a.outcome == Retry && a.response.Action != "" && !a.throttled() && w.admission.BlamesEvent(a.generation)
}

// failsAlone reports whether the API fails for a's session again and again, and revokes another one before and after each of these
// failures. Less would not do: a failure at the edge of an outage looks like the session's own if an OK from before the outage, or from
// after it, counts as proof. And some of the failures that were charged may be an outage's, which the breaker had not seen yet. The
// calls between are a's own. If one succeeds, the session is revoked.
func (w *Worker) failsAlone(ctx context.Context, caller *authlete.Caller, a *attempt) bool {
	if !w.worksForAnother(ctx, caller, a) {
		return false
	}
	for range min(leastCharges, w.cfg.RetryMaxAttempts) {
		if w.call(ctx, caller, a); !w.blames(a) || !w.worksForAnother(ctx, caller, a) {
			return false
		}
	}
	return true
}

// worksForAnother asks the API about the newest event once, and then about sessions that it revoked lately, each time another one, so
// that many condemnations do not all call for the same session. It reports whether it revoked that.
func (w *Worker) worksForAnother(ctx context.Context, caller *authlete.Caller, a *attempt) bool {
	other, err := w.newest(ctx)
	if err != nil || other.event.SessionID == a.event.SessionID || w.proofs.asked(other.key) {
		event, found := w.proofs.other(a.event.SessionID)
		switch {
		case found:
			other = candidate{event: event}
		case err != nil || other.event.SessionID == a.event.SessionID:
			return false
		}
	}
	caller.Before = nil // the call belongs to no trace
	proof := w.try(ctx, caller, other)
	w.evidence(proof)
	return proof.outcome == Revoked
}

// maxProofs is how many revoked sessions are remembered to ask about.
const maxProofs = 64

// proofs are sessions that the API revoked lately, and the newest event that was asked about.
type proofs struct {
	mu     sync.Mutex
	recent []events.Event
	next   int // to be replaced, and to be asked about
	newest eventKey
}

func (p *proofs) add(event events.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.recent) < maxProofs {
		p.recent = append(p.recent, event)
		return
	}
	p.next = (p.next + 1) % maxProofs
	p.recent[p.next] = event
}

// asked reports whether the newest event was asked about before, and notes that it was.
func (p *proofs) asked(newest eventKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.newest == newest
	p.newest = newest
	return was
}

// other is a session other than the one given.
func (p *proofs) other(than events.SessionID) (events.Event, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.recent {
		p.next = (p.next + 1) % len(p.recent)
		if event := p.recent[p.next]; event.SessionID != than {
			return event, true
		}
	}
	return events.Event{}, false
}

package worker

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"revoker/events"
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
	// leastCharges is how many answered failures this worker must have seen, however old the event is.
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
// answered so far. What remains to be shown is that the API works for another session: see [Worker.provenSince].
func exhausted(deliveries, charged, maxAttempts int, age, maxAge time.Duration) bool {
	return deliveries >= maxAttempts && age >= maxAge && charged >= needed(maxAttempts, age, maxAge)
}

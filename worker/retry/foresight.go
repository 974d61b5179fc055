package retry

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookInterval is between two looks at a lane's deliveries.
	lookInterval = 50 * time.Millisecond
	// lookWeight is the weight of one look in the means, and enoughLooks how many there must be.
	lookWeight  = 1.0 / 16
	enoughLooks = 16
)

// foresight tells when the new events of a lane will be done. The server says with each delivery how many wait behind it: that
// number falls at some rate. The place of the delivery in the stream and that number together say how many were published, and so at
// what rate more come.
type foresight struct {
	fresh  atomic.Bool  // new events wait, as far as the last delivery told
	looked atomic.Int64 // when it was last updated, ns since the pacer's start

	mu        sync.Mutex
	looks     int
	pending   uint64
	published uint64  // up to the last look
	inflow    float64 // exponentially weighted means: new events per second,
	shrinking float64 // and by how many fewer wait each second
}

// saw takes a delivery into account; sequence is 0 for one that is not a first delivery. It mostly costs two loads.
func (f *foresight) saw(since time.Duration, sequence, pending uint64) {
	if fresh := pending > 0; f.fresh.Load() != fresh { // a load costs less than a store that all slots see
		f.fresh.Store(fresh)
	}
	last := f.looked.Load()
	passed := since - time.Duration(last)
	if sequence == 0 || last != 0 && passed < lookInterval || !f.looked.CompareAndSwap(last, int64(since)) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	published := max(sequence+pending, f.published)
	if f.looks > 0 {
		f.inflow += (float64(published-f.published)/passed.Seconds() - f.inflow) * lookWeight
		f.shrinking += ((float64(f.pending)-float64(pending))/passed.Seconds() - f.shrinking) * lookWeight
	}
	f.looks++
	f.pending, f.published = pending, published
}

// done is how long until the lane's new events are done, and how many come per second meanwhile. The time is negative if that can't be
// foreseen.
func (f *foresight) done() (in time.Duration, inflow float64) {
	if !f.fresh.Load() {
		return 0, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.looks < enoughLooks || f.shrinking <= 0 {
		return -1, 0
	}
	return time.Duration(float64(f.pending) / f.shrinking * float64(time.Second)), f.inflow
}

package conn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// confirmedFor is how long the server's confirmation that the consumer is still the same is relied on. It costs one request
	// in that time, and only while there is something to settle.
	confirmedFor = time.Second
	confirmPause = 250 * time.Millisecond
)

var confirmTimeout = 2 * time.Second // of that request; nothing but a test changes it

// Incarnation is one life of the durable consumer, from its creation to its deletion, and so of one stream: a stream's
// consumers are deleted with it. Deliveries can only be settled within theirs. An acknowledgement names a sequence number
// and nothing else that the server checks (processAck in nats-server's consumer.go looks at neither the time in the reply
// subject nor, for an ack or a term, the consumer sequence). In a stream that was deleted and created anew it would
// settle another event that has the same number, and that event would be lost.
//
// So acknowledgements of an incarnation that is over are dropped. It is over
//   - when the server reports the deletion of the consumer or of the stream in an advisory;
//   - when the consumer has another time of creation. The time is asked for after each reconnect and each pull that was not
//     served, and whenever the last answer is older than confirmedFor. Acknowledgements wait for the answer;
//   - when the consumer's own numbers go backwards. Then it was restored from a backup, or the server lost a part of its
//     state in a crash. After a crash the events in hand are delivered again, which costs a call each.
//
// One case remains: an acknowledgement that is on its way when the stream is deleted. It does harm if the new stream has
// stored and delivered its new event before the acknowledgement arrives. In 300 recreations on one machine, as fast as a
// program can ask for them, the advisory arrived at most 0.4 ms after the confirmation of the deletion, and the new event at
// least 0.5 ms after the advisory. Without permission to subscribe to the advisories the window is confirmedFor. A
// restored backup brings back the consumer's old time of creation; without the advisories it is not noticed at all if other
// workers take as many events as had been delivered before.
type Incarnation struct {
	conn             *Conn
	stream, consumer string
	created          time.Time
	deletions        *Deletions
	deletionsBefore  uint64 // that had been reported when this one was found
	over             atomic.Bool
	refusing         sync.Once

	// delivered is the highest consumer sequence that arrived. It belongs to the goroutine that pulls.
	delivered uint64

	mu        sync.Mutex
	asked     time.Time // when the confirmation was asked for
	reconnect uint64    // the connection on which it came
	doubts    int       // how often doubt was raised
	doubtful  bool      // since the last confirmation
	asking    bool
	retryAt   time.Time // no further question before
}

// NewIncarnation begins one whose consumer is then looked up. The time is noted here, before the question, so that whatever
// happens meanwhile counts as later.
func NewIncarnation(c *Conn, deletions *Deletions) *Incarnation {
	return &Incarnation{
		conn: c, deletions: deletions, deletionsBefore: deletions.Reported(),
		asked: time.Now(), reconnect: c.nc.Stats().Reconnects,
	}
}

// Found says which consumer the look-up found. It is called before anything else.
func (i *Incarnation) Found(stream, consumer string, created time.Time) {
	i.stream, i.consumer, i.created = stream, consumer, created
}

// Settle sends an acknowledgement of a delivery to its reply subject, a moment later and together with others. It sends nothing
// once the incarnation is over.
func (i *Incarnation) Settle(reply, text string) { i.conn.acks.put(i, reply, text) }

// verdict is what may be done with an acknowledgement.
type verdict int

const (
	maySettle verdict = iota
	mustWait          // for the server's confirmation
	mayNotSettle
)

// verdict decides on the acknowledgements of the incarnation. If they must wait, it asks the server, and calls answered when
// the answer is there.
func (i *Incarnation) verdict(now time.Time, answered func()) verdict {
	switch {
	case i.Ended():
		return mayNotSettle
	case !i.conn.nc.IsConnected(): // the client would keep them, and send them once it is connected again
		return mustWait
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.doubtful && i.reconnect == i.conn.nc.Stats().Reconnects && now.Sub(i.asked) < confirmedFor {
		return maySettle
	}
	if !i.asking && !now.Before(i.retryAt) {
		i.asking = true
		i.conn.acks.done.Go(func() {
			i.confirm()
			answered()
		})
	}
	return mustWait
}

// confirm asks the server whether the consumer is still the same.
func (i *Incarnation) confirm() {
	i.mu.Lock()
	asked, reconnect, doubts := time.Now(), i.conn.nc.Stats().Reconnects, i.doubts
	i.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
	defer cancel()
	created, err := i.conn.consumerCreated(ctx, i.stream, i.consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || err == nil && !created.Equal(i.created) {
		i.End()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asking = false
	switch {
	case err == nil:
		i.confirmed(asked, reconnect, doubts)
	case !i.doubtful && i.reconnect == reconnect:
		// Only time has passed. An API that does not answer must not hold up the acknowledgements, since their events would
		// be delivered again.
		i.asked = asked
	default:
		i.retryAt = time.Now().Add(confirmPause)
	}
}

// confirmed notes that the incarnation was alive at a time on a connection, when so many doubts had been raised.
func (i *Incarnation) confirmed(asked time.Time, reconnect uint64, doubts int) {
	i.asked, i.reconnect = asked, reconnect
	i.doubtful = i.doubts != doubts
}

// Doubt makes acknowledgements wait until the server has confirmed the incarnation.
func (i *Incarnation) Doubt() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.doubts++
	i.doubtful = true
}

// Brings notes the consumer sequence of a delivery. It reports false if the incarnation is over. A sequence that is not higher
// than the one before shows that too.
func (i *Incarnation) Brings(sequence uint64) bool {
	if sequence <= i.delivered {
		i.End()
	}
	if i.Ended() {
		return false
	}
	i.delivered = sequence
	return true
}

// Continues reports whether the incarnation that was found is this one, which is then confirmed. delivered is how many messages
// the found consumer has delivered. A nil incarnation continues nothing.
func (i *Incarnation) Continues(found *Incarnation, delivered uint64) bool {
	if i == nil || i.Ended() || !i.created.Equal(found.created) || delivered < i.delivered {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.confirmed(found.asked, found.reconnect, i.doubts)
	return true
}

// End ends the incarnation: nothing is settled in it any more.
func (i *Incarnation) End() { i.over.Store(true) }

// Ended reports whether the incarnation is known to be over.
func (i *Incarnation) Ended() bool {
	return i.over.Load() || i.deletions.Reported() != i.deletionsBefore
}

// refuse is called for each acknowledgement that is dropped, and logs that once.
func (i *Incarnation) refuse() {
	i.refusing.Do(func() {
		i.conn.log.Warn("the consumer or its stream was deleted, created anew or set back: events that were in hand before are not settled, since the same sequences may name other events now",
			"stream", i.stream, "consumer", i.consumer)
	})
}

// consumerCreated asks when a consumer was created. The error is [jetstream.ErrConsumerNotFound] if the consumer or its stream
// does not exist.
func (c *Conn) consumerCreated(ctx context.Context, stream, consumer string) (time.Time, error) {
	info, err := c.AskConsumer(ctx, stream, consumer)
	if err != nil {
		return time.Time{}, err
	}
	return info.Created, nil
}

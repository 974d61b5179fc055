package events

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// confirmedFor is how long the server's word that the consumer is still the same is relied on. It costs one request in
	// that time, and only while there is something to settle.
	confirmedFor   = time.Second
	confirmTimeout = 2 * time.Second // of that request
	confirmPause   = 250 * time.Millisecond
)

// incarnation is one life of the durable consumer, from its creation to its deletion, and so of one stream: a stream's
// consumers are deleted with it. Deliveries can only be settled within theirs. An acknowledgement names a sequence number
// and nothing else that the server checks (processAck in nats-server's consumer.go looks at neither the time in the reply
// subject nor, for an ack or a term, the consumer sequence). In a stream that was deleted and created anew it would
// settle another event that has the same number, and that event would be lost.
//
// So acknowledgements of an incarnation that is over are dropped. It is over
//   - when the server reports the deletion of the consumer or of the stream in an advisory;
//   - when the consumer has another time of creation. That is asked for after each reconnect and each pull that was not
//     served, and whenever the last answer is more than confirmedFor old; acknowledgements wait for the answer;
//   - when the consumer's own numbers go backwards. Then it was restored from a backup, or the server lost a part of its
//     state in a crash. The events in hand are delivered again in the latter case, which costs a call each.
//
// What remains: an acknowledgement that is on its way when the stream is deleted. It does harm if the new stream has
// stored and delivered its new event before the acknowledgement arrives. In 300 recreations on one machine, as fast as a
// program can ask for them, the advisory was here 0.4 ms after the confirmation of the deletion or earlier, and the new
// event was delivered 0.5 ms after the advisory or later. Without permission to subscribe to the advisories the window is
// confirmedFor. Without them, a backup that is restored is not noticed at all if others take as many events as had been
// delivered before, for it brings back the consumer's old time of creation.
type incarnation struct {
	conn             *Conn
	stream, consumer string
	created          time.Time
	deletions        *deletions
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

// verdict is what may be done with an acknowledgement.
type verdict int

const (
	maySettle verdict = iota
	mustWait          // for the server's word
	mayNotSettle
)

// verdict decides on the acknowledgements of the incarnation. If they must wait it asks the server, and calls answered
// when it is worth deciding again.
func (i *incarnation) verdict(now time.Time, answered func()) verdict {
	switch {
	case i.ended():
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
func (i *incarnation) confirm() {
	i.mu.Lock()
	asked, reconnect, doubts := time.Now(), i.conn.nc.Stats().Reconnects, i.doubts
	i.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
	defer cancel()
	created, err := i.conn.consumerCreated(ctx, i.stream, i.consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || err == nil && !created.Equal(i.created) {
		i.end()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asking = false
	switch {
	case err == nil:
		i.confirmed(asked, reconnect, doubts)
	case !i.doubtful && i.reconnect == reconnect:
		// Nothing but time has passed. An API that does not answer must not hold up the acknowledgements: their events
		// would be delivered again.
		i.asked = asked
	default:
		i.retryAt = time.Now().Add(confirmPause)
	}
}

// confirmed notes that the incarnation was alive at a time on a connection, when so many doubts had been raised.
func (i *incarnation) confirmed(asked time.Time, reconnect uint64, doubts int) {
	i.asked, i.reconnect = asked, reconnect
	i.doubtful = i.doubts != doubts
}

// doubt makes acknowledgements wait until the server has confirmed the incarnation.
func (i *incarnation) doubt() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.doubts++
	i.doubtful = true
}

// brings takes note of the consumer sequence of a delivery. It reports false if the incarnation is over, which a sequence
// that is not higher than those before shows too.
func (i *incarnation) brings(sequence uint64) bool {
	if sequence <= i.delivered {
		i.end()
	}
	if i.ended() {
		return false
	}
	i.delivered = sequence
	return true
}

// continues reports whether the incarnation that was found is this one, which is then confirmed. The consumer has delivered
// so many messages.
func (i *incarnation) continues(found *incarnation, delivered uint64) bool {
	if i == nil || i.ended() || !i.created.Equal(found.created) || delivered < i.delivered {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.confirmed(found.asked, found.reconnect, i.doubts)
	return true
}

func (i *incarnation) end() { i.over.Store(true) }

func (i *incarnation) ended() bool {
	return i.over.Load() || i.deletions.reported() != i.deletionsBefore
}

// refuse is called for each acknowledgement that is dropped, and says so once.
func (i *incarnation) refuse() {
	i.refusing.Do(func() {
		i.conn.log.Warn("the consumer or its stream was deleted, created anew or set back: events that were in hand before are not settled, since the same sequences may name other events now",
			"stream", i.stream, "consumer", i.consumer)
	})
}

// consumerCreated asks when a consumer was created. The error is [jetstream.ErrConsumerNotFound] if it, or its stream, is not
// there.
func (c *Conn) consumerCreated(ctx context.Context, stream, consumer string) (time.Time, error) {
	var response struct {
		Error   *jetstream.APIError `json:"error"`
		Created time.Time           `json:"created"`
	}
	if err := c.ask(ctx, "looking up consumer "+consumer, "CONSUMER.INFO."+stream+"."+consumer, nil, &response); err != nil {
		return time.Time{}, err
	}
	if response.Error != nil {
		if response.Error.Code == 404 {
			return time.Time{}, jetstream.ErrConsumerNotFound
		}
		return time.Time{}, response.Error
	}
	return response.Created, nil
}

// deletions hears of the deletion of a stream or its consumer. The client's reader puts what it receives into the channel
// itself, so that no other goroutine has to run before it counts.
type deletions struct {
	heard chan *nats.Msg
	subs  []*nats.Subscription

	mu    sync.Mutex
	count uint64
}

const advisories = "$JS.EVENT.ADVISORY."

// hear subscribes to the advisories, where the account may: https://docs.nats.io/running-a-nats-service/nats_admin/monitoring/monitoring_jetstream#advisories
func (d *deletions) hear(nc *nats.Conn, stream, consumer string) error {
	d.heard = make(chan *nats.Msg, 16) // one is as good as many
	for _, subject := range []string{advisories + "CONSUMER.DELETED." + stream + "." + consumer, advisories + "STREAM.DELETED." + stream} {
		sub, err := nc.ChanSubscribe(subject, d.heard)
		if err != nil {
			d.close()
			return err
		}
		d.subs = append(d.subs, sub)
	}
	return nil
}

// reported is how many deletions were reported up to now.
func (d *deletions) reported() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		select {
		case <-d.heard:
			d.count++
		default:
			return d.count
		}
	}
}

func (d *deletions) close() {
	for _, sub := range d.subs {
		_ = sub.Unsubscribe()
	}
}

package sessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/events/internal/conn"
	"revoker/events/peer"
)

const (
	// maxEvents bounds the events that are looked at, whatever the time.
	maxEvents = 1_000_000
	// lookers is how many of them are asked for at a time. More make the server busy, and no faster.
	lookers = 16
)

// Event is an event of the session that is not settled.
type Event struct {
	Stream    string      `json:"stream"`
	Sequence  uint64      `json:"sequence"`
	Lane      config.Lane `json:"lane"`
	Published time.Time   `json:"published"`
	// Next is what a worker knows of its next attempt.
	Next *peer.NextAttempt `json:"nextAttempt,omitempty"`

	queued bool // it was never delivered
}

// found is the event with its session, by which the workers know it.
type found struct{ session events.SessionID }

// region is the part of the stream in which events are not settled.
type region struct {
	first, last uint64
	delivered   map[config.Lane]uint64 // up to which events were delivered
}

// readQueue looks, for so long, at the events that are not all settled, from both ends at the same time: an event that fails is near the head, and
// one of a moment ago is the last. Each is read by a request of its own. A consumer would be faster. But the account would have to be
// allowed to make one on the event stream, and a work queue takes no second one.
func (f *finder) readQueue(ctx context.Context, scanFor time.Duration) error {
	r, err := f.region(ctx)
	if err != nil {
		return err
	}
	total := r.last + 1 - r.first
	f.Events = &Looked{Of: int(total)}
	ctx, stop := context.WithTimeout(ctx, scanFor)
	defer stop()
	var taken, looked atomic.Uint64
	var scan sync.WaitGroup
	var mu sync.Mutex
	var failure error
	for range min(lookers, total) {
		scan.Go(func() {
			for ctx.Err() == nil {
				n := taken.Add(1) - 1
				if n >= min(total, maxEvents) {
					return
				}
				sequence := r.first + n/2
				if n%2 == 1 {
					sequence = r.last - n/2
				}
				msg, err := f.conn.Message(ctx, f.cfg.Stream, conn.Place{Sequence: sequence})
				missing := errors.Is(err, conn.ErrNoMessage)
				mu.Lock()
				switch {
				case err == nil && f.take(msg, r):
					stop()
				case err != nil && !missing && ctx.Err() == nil:
					failure = err
					stop()
				}
				mu.Unlock()
				if err == nil || missing {
					looked.Add(1)
				}
			}
		})
	}
	scan.Wait()
	f.Events.At = int(looked.Load())
	return failure
}

// take keeps the message if it is an event of the session.
func (f *finder) take(msg conn.StoredMessage, r region) bool {
	lane, known := f.laneOf(msg.Subject)
	if !known || f.Event != nil && f.Event.Sequence > msg.Sequence {
		return false
	}
	event, err := events.Decode(msg.Header, msg.Payload)
	if !f.key.matches(event, err) {
		return false
	}
	f.Event = &Event{
		Stream: f.cfg.Stream, Sequence: msg.Sequence, Lane: lane, Published: msg.Published, queued: msg.Sequence > r.delivered[lane],
	}
	f.found = &found{event.SessionID}
	return true
}

func (f *finder) laneOf(subject string) (config.Lane, bool) {
	for _, lane := range f.cfg.Lanes() {
		if config.SubjectMatches(f.cfg.In(lane).Subject, subject) {
			return lane, true
		}
	}
	return "", false
}

// region asks the consumers how far they are. It is empty if all is settled.
func (f *finder) region(ctx context.Context) (region, error) {
	stream, err := f.conn.LookUp(ctx, f.cfg.Stream, "REVOKER_STREAM")
	if err != nil {
		return region{}, err
	}
	state := stream.CachedInfo().State
	r := region{first: state.LastSeq + 1, last: state.LastSeq, delivered: map[config.Lane]uint64{}}
	for _, lane := range f.cfg.Lanes() {
		consumer, err := f.conn.AskConsumer(ctx, f.cfg.Stream, f.cfg.In(lane).Consumer)
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound) && lane == config.Bulk:
			continue // an installation with one lane
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			return region{}, fmt.Errorf("there is no consumer %s; `revoker setup` creates it, and REVOKER_CONSUMER names another", f.cfg.Consumer)
		case err != nil:
			return region{}, err
		}
		r.delivered[lane] = consumer.Delivered.Stream
		if consumer.NumPending > 0 || consumer.NumAckPending > 0 {
			r.first = min(r.first, max(consumer.AckFloor.Stream+1, state.FirstSeq))
		}
	}
	return r, nil
}

// askWorkers asks them for the event's next attempt.
func (f *finder) askWorkers(ctx context.Context) {
	var err error
	f.Event.Next, err = admin.NextAttempt(ctx, f.conn, f.cfg, f.Event.Sequence, f.found.session)
	f.unknown("workers", err)
}

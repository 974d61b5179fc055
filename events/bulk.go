package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events/internal/conn"
)

const (
	bulkWindow   = 4096            // at most so many events are sent and not confirmed yet
	bulkAckWait  = 5 * time.Second // for one confirmation
	bulkUnheard  = 1 << 20         // confirmations that never come, before nats.go stops sending on this connection
	bulkRetryMin = 100 * time.Millisecond
	bulkRetryMax = 2 * time.Second
	// How long to go on where no stream has answered yet and nobody says that there is none: a cluster takes up to 8 s to
	// elect a stream's leader, and longer when several servers start.
	bulkElection = 30 * time.Second

	// ErrorWrongStream is an error code of the JetStream API: the stream that stores the subject is not the expected one.
	ErrorWrongStream = 10060
)

// ErrTooLarge says that the stream refuses an event for its size. It may store others.
var ErrTooLarge = errors.New("the event is larger than the stream allows")

var errOtherStream = errors.New("stored by another stream")

// BulkPublisher publishes many events. It does not await one confirmation before it sends the next event, and it sends again what
// was not confirmed.
type BulkPublisher struct {
	conn            *Conn
	js              jetstream.JetStream
	lane            config.Lane
	stream, subject string
	expected        []string // stream, as every event's header says it
	retryFor        time.Duration
	ackWait         time.Duration   // for one confirmation
	interrupted     context.Context // done: nothing is sent again

	window chan sent
	done   sync.WaitGroup

	confirmed atomic.Bool // at least one event was
	off       bool        // the account has no JetStream; belongs to the same goroutine
	overdue   *time.Timer // for the oldest event; belongs to the goroutine that awaits confirmations

	mu     sync.Mutex
	failed error
}

type sent struct {
	msg    *nats.Msg
	future jetstream.PubAckFuture
	err    error // instead of future: why it was not sent
	at     time.Time
	report func(duplicate bool, err error)
}

// NewBulkPublisher returns a publisher of events to a lane's subject, which stream must store. An event that is not confirmed is sent
// again for up to retryFor. If nothing was ever confirmed, either the setup is wrong or the stream's leader is being elected;
// then it is sent again for some seconds only. Once ctx is done nothing is sent again. Close must be called.
func NewBulkPublisher(ctx context.Context, c *Conn, lane config.Lane, stream, subject string, retryFor time.Duration) (*BulkPublisher, error) {
	// The window bounds what is pending, and await bounds its time with one timer instead of one for each event.
	js, err := jetstream.New(c.NC(), jetstream.WithPublishAsyncMaxPending(bulkWindow+bulkUnheard))
	if err != nil {
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	b := &BulkPublisher{
		conn: c, js: js, lane: lane, stream: stream, subject: subject, expected: []string{stream},
		retryFor: retryFor, ackWait: bulkAckWait, interrupted: ctx, window: make(chan sent, bulkWindow),
		overdue: time.NewTimer(bulkAckWait),
	}
	b.done.Go(b.collect)
	return b, nil
}

// Publish sends a valid event; it waits while the window is full. report is called in the order of sending and from one
// goroutine. It is told that the stream stored the event, or had it already, or why it has not. After an error other than
// ErrTooLarge nothing more is sent, and Publish returns that error.
func (b *BulkPublisher) Publish(event Event, report func(duplicate bool, err error)) error {
	if err := b.failure(); err != nil {
		return err
	}
	header := nats.Header{jetstream.MsgIDHeader: {event.MessageID(b.lane)}}
	if !b.confirmed.Load() {
		// The server refuses the event if another stream stores the subject. Once one was stored as expected, it is enough that
		// each confirmation names the stream.
		header[jetstream.ExpectedStreamHeader] = b.expected
	}
	s := sent{report: report, at: time.Now(), msg: &nats.Msg{Subject: b.subject, Data: event.Encode(), Header: header}}
	s.future, s.err = b.js.PublishMsgAsync(s.msg)
	b.window <- s
	return nil
}

// Close waits until every event that was sent is confirmed or has failed.
func (b *BulkPublisher) Close() error {
	close(b.window)
	b.done.Wait()
	return b.failure()
}

func (b *BulkPublisher) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// collect awaits the confirmations in the order of sending, so that what is confirmed has no gaps.
func (b *BulkPublisher) collect() {
	for s := range b.window {
		ack, err := b.await(s)
		again := err != nil && b.passing(err) && b.failure() == nil
		if again {
			ack, err = b.again(s.msg)
		}
		switch {
		case err == nil:
			b.confirmed.Store(true)
			s.report(ack.Duplicate && !again, nil) // this run's own earlier attempt may be stored
		case conn.TooLarge(err):
			s.report(false, ErrTooLarge)
		default:
			err = b.explain(err)
			b.mu.Lock()
			if b.failed == nil {
				b.failed = err
			}
			b.mu.Unlock()
			s.report(false, err)
		}
	}
}

func (b *BulkPublisher) await(s sent) (*jetstream.PubAck, error) {
	if s.err != nil {
		return nil, s.err
	}
	confirmed, failed := s.future.Ok(), s.future.Err()
	select {
	case ack := <-confirmed:
		return ack, b.check(ack)
	default:
	}
	b.overdue.Reset(time.Until(s.at.Add(b.ackWait)))
	select {
	case ack := <-confirmed:
		return ack, b.check(ack)
	case err := <-failed:
		return nil, err
	case <-b.overdue.C:
		return nil, nats.ErrTimeout
	}
}

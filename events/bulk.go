package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	bulkWindow   = 4096            // events that are sent and not confirmed yet, at the most
	bulkAckWait  = 5 * time.Second // for one confirmation
	bulkUnheard  = 1 << 20         // confirmations that never came, before nats.go sends no more on this connection
	bulkRetryMin = 100 * time.Millisecond
	bulkRetryMax = 2 * time.Second
	// How long to go on where no stream has answered yet and nobody says that there is none: a cluster takes up to 8 s to
	// elect a stream's leader, and longer when several servers start.
	bulkElection = 30 * time.Second

	// Error code of the JetStream API: the stream that stores the subject is not the expected one.
	errorWrongStream = 10060
)

// ErrTooLarge is why the stream refuses an event for its size. Others may be stored.
var ErrTooLarge = errors.New("the event is larger than the stream allows")

var errOtherStream = errors.New("stored by another stream")

// Bulk publishes many events: it sends on while earlier ones are not confirmed yet, and sends again what was not.
type Bulk struct {
	conn            *Conn
	js              jetstream.JetStream
	stream, subject string
	expected        []string // stream, as every event's header says it
	patience        time.Duration
	interrupted     context.Context // done: nothing is sent again

	window chan sent
	done   sync.WaitGroup

	confirmed atomic.Bool // one event at least was
	overdue   *time.Timer // of the goroutine that awaits confirmations: the oldest one's

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

// NewBulk returns a publisher of events to subject, which stream must store. An event that is not confirmed is sent again
// for as long as patience, unless nothing was ever confirmed: then it is the setup that is wrong, or the stream's leader is
// being elected, which gets some seconds. Once ctx is done nothing is sent again. Close must be called.
func NewBulk(ctx context.Context, conn *Conn, stream, subject string, patience time.Duration) (*Bulk, error) {
	// What is pending is bounded by the window, and its time by await, which needs one timer instead of one an event.
	js, err := jetstream.New(conn.nc, jetstream.WithPublishAsyncMaxPending(bulkWindow+bulkUnheard))
	if err != nil {
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	b := &Bulk{
		conn: conn, js: js, stream: stream, subject: subject, expected: []string{stream},
		patience: patience, interrupted: ctx, window: make(chan sent, bulkWindow),
		overdue: time.NewTimer(bulkAckWait),
	}
	b.done.Go(b.collect)
	return b, nil
}

// Publish sends a valid event; it waits while the window is full. report is told what came of it, in the order of sending
// and from one goroutine: that the stream stored it, or had it already, or why it has not. After an error other than
// ErrTooLarge nothing more is sent, and Publish returns that error.
func (b *Bulk) Publish(event Event, report func(duplicate bool, err error)) error {
	if err := b.failure(); err != nil {
		return err
	}
	header := nats.Header{jetstream.MsgIDHeader: {event.MessageID()}}
	if !b.confirmed.Load() {
		// The server refuses the event where another stream stores the subject. Once one was stored as expected, it is enough
		// that each confirmation names the stream.
		header[jetstream.ExpectedStreamHeader] = b.expected
	}
	s := sent{report: report, at: time.Now(), msg: &nats.Msg{Subject: b.subject, Data: event.Encode(), Header: header}}
	s.future, s.err = b.js.PublishMsgAsync(s.msg)
	b.window <- s
	return nil
}

// Close waits until every event that was sent is confirmed or has failed.
func (b *Bulk) Close() error {
	close(b.window)
	b.done.Wait()
	return b.failure()
}

func (b *Bulk) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// collect awaits the confirmations in the order of sending, so that what is confirmed has no gaps.
func (b *Bulk) collect() {
	for s := range b.window {
		ack, err := b.await(s)
		again := err != nil && b.passing(err) && b.failure() == nil
		if again {
			ack, err = b.again(s.msg)
		}
		switch {
		case err == nil:
			b.confirmed.Store(true)
			s.report(ack.Duplicate && !again, nil) // it may be this run's own earlier attempt that is there
		case tooLarge(err):
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

func (b *Bulk) await(s sent) (*jetstream.PubAck, error) {
	if s.err != nil {
		return nil, s.err
	}
	confirmed, failed := s.future.Ok(), s.future.Err()
	select {
	case ack := <-confirmed:
		return ack, b.check(ack)
	default:
	}
	b.overdue.Reset(time.Until(s.at.Add(bulkAckWait)))
	select {
	case ack := <-confirmed:
		return ack, b.check(ack)
	case err := <-failed:
		return nil, err
	case <-b.overdue.C:
		return nil, nats.ErrTimeout
	}
}

// again sends the event until it is confirmed, one attempt after the other.
func (b *Bulk) again(msg *nats.Msg) (ack *jetstream.PubAck, err error) {
	patience := b.patience
	if !b.confirmed.Load() {
		patience = min(patience, bulkElection)
	}
	ctx, cancel := context.WithTimeout(b.interrupted, patience)
	defer cancel()
	policy := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(bulkRetryMin), backoff.WithMaxInterval(bulkRetryMax), backoff.WithMaxElapsedTime(0)) // ctx ends it
	var last error // what went wrong, where ctx says only that it took too long
	attempt := func() (err error) {
		ack, err = b.once(ctx, msg)
		if last == nil || err == nil || ctx.Err() == nil {
			last = err
		}
		if last != nil && !b.passing(last) {
			return backoff.Permanent(last)
		}
		return last
	}
	said := false
	err = backoff.RetryNotify(attempt, backoff.WithContext(policy, ctx), func(err error, _ time.Duration) {
		if !said {
			b.conn.log.Warn("an event was not confirmed; sending it again", "error", b.explain(err), "for", patience)
			said = true
		}
	})
	if err != nil {
		err = last
	}
	return ack, err
}

func (b *Bulk) once(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	if err := b.conn.AwaitConnected(ctx); err != nil {
		return nil, errors.New("NATS is not reachable")
	}
	ctx, cancel := context.WithTimeout(ctx, bulkAckWait)
	defer cancel()
	ack, err := b.js.PublishMsg(ctx, msg)
	if err != nil {
		return nil, err
	}
	return ack, b.check(ack)
}

// check holds the stream that answered against the expected one.
func (b *Bulk) check(ack *jetstream.PubAck) error {
	if ack.Stream != b.stream {
		return errOtherStream
	}
	return nil
}

// passing reports whether an event that was not confirmed may be if it is sent again.
func (b *Bulk) passing(err error) bool {
	var api *jetstream.APIError
	switch {
	case b.interrupted.Err() != nil, b.conn.deniedSubject(`"` + b.subject + `"`):
		return false
	case !b.confirmed.Load():
		return unanswered(err) && !b.conn.lacksStream(b.interrupted, b.stream, b.subject)
	case tooLarge(err), errors.Is(err, errOtherStream):
		return false
	case errors.As(err, &api):
		return api.ErrorCode != errorWrongStream
	}
	return true
}

func (b *Bulk) explain(err error) error {
	var api *jetstream.APIError
	if errors.Is(err, errOtherStream) || errors.As(err, &api) && api.ErrorCode == errorWrongStream {
		return fmt.Errorf("%s is stored by another stream than %s (REVOKER_STREAM)", b.subject, b.stream)
	}
	return b.conn.notStored(b.subject, err)
}

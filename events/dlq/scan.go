package dlq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events/internal/conn"
)

const (
	scanName  = "revoker-dlq-" // begins the names of consumers
	scanBatch = 500            // letters
	// A batch ends early at so many bytes, or at twice the largest message where that is more.
	scanBytes = 4 << 20
	// The server drops a scan's consumer that was not asked for this long. A slow reader gets a new one.
	scanIdle  = 10 * time.Second
	scanTries = 4 // in a row that bring no letter
	scanPause = 500 * time.Millisecond
)

// scan reads the dead-letter stream forwards with an ephemeral consumer. Whenever something was lost it makes a new consumer that
// goes on from there, since the server keeps no acknowledgements for it. nats.go's ordered consumer does the same; it is not used
// for the reason that [conn.Puller] names.
type scan struct {
	store *LetterStore
	since time.Time // where to begin, if that is later than next
	next  uint64    // the sequence to go on with
	last  uint64

	consumer  string // "" if a new one is needed
	delivered uint64 // by that consumer
	puller    *conn.Puller
}

// batch returns the next letters; none at the end.
func (s *scan) batch(ctx context.Context) ([]StoredLetter, error) {
	for try := 1; ; try++ {
		letters, err := s.tryBatch(ctx)
		if len(letters) > 0 || err == nil {
			return letters, nil // what is missing after a failure comes with the next batch
		}
		s.consumer = ""
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if try == scanTries || errors.Is(err, conn.ErrDenied) || errors.Is(err, errRecreated) {
			return nil, fmt.Errorf("reading dead letters from stream %s: %w", s.store.cfg.DeadLetterStream, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(scanPause):
		}
	}
}

func (s *scan) tryBatch(ctx context.Context) ([]StoredLetter, error) {
	if s.next > s.last {
		return nil, nil
	}
	if s.consumer == "" {
		if err := s.open(ctx); err != nil {
			return nil, err
		}
	}
	letters, err := s.pull(ctx)
	if err != nil {
		s.consumer = ""
	}
	return letters, err
}

// open makes the consumer.
func (s *scan) open(ctx context.Context) error {
	c, cfg := s.store.conn, s.store.cfg
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	if s.puller == nil {
		puller, err := conn.NewPuller(c, 2*scanBatch)
		if err != nil {
			return err
		}
		s.puller = puller
	}
	want := jetstream.ConsumerConfig{
		Name: scanName + rand.Text(), FilterSubject: cfg.DeadLetterSubject, AckPolicy: jetstream.AckNonePolicy,
		InactiveThreshold: scanIdle, MemoryStorage: true, Replicas: 1,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.next,
	}
	if !s.since.IsZero() {
		want.DeliverPolicy, want.OptStartSeq, want.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &s.since
	}
	info, err := c.JetStream().CreateConsumer(ctx, cfg.DeadLetterStream, want)
	if err != nil {
		return c.ExplainAPI("creating a consumer", "CONSUMER.CREATE."+cfg.DeadLetterStream+".>", err)
	}
	// A stream that is the same after the consumer was created has the consumer, which is deleted with it.
	if _, err := s.store.lastSequence(ctx); err != nil {
		return err
	}
	s.consumer, s.delivered = info.CachedInfo().Name, 0
	return nil
}

// pull asks for one batch of the letters that are stored. It returns what arrived even if there is an error.
func (s *scan) pull(ctx context.Context) (letters []StoredLetter, err error) {
	c := s.store.conn
	request := "CONSUMER.MSG.NEXT." + s.store.cfg.DeadLetterStream + "."
	body := fmt.Appendf(nil, `{"batch":%d,"max_bytes":%d,"no_wait":true}`, scanBatch, max(scanBytes, 2*c.NC().MaxPayload()))
	status, err := s.puller.Pull(ctx, c.API(request+s.consumer), body, conn.RequestTimeout, func(msg *nats.Msg) (bool, error) {
		letter, ok, err := s.accept(msg)
		if ok {
			letters = append(letters, letter)
		}
		return len(letters) == scanBatch || s.next > s.last, err
	})
	switch {
	case errors.Is(err, conn.ErrPullSilent):
		return letters, c.ExplainAPI("pulling", request+"*", context.DeadlineExceeded)
	case err != nil || status == nil:
		return letters, err
	case len(letters) > 0 && status.Get("Description") == conn.StatusTooManyBytes:
		return letters, nil // the next batch has it
	}
	return letters, conn.PullError(status)
}

// accept reads a delivery. It ignores those of an earlier consumer. A gap in the consumer's own numbers is an error.
func (s *scan) accept(msg *nats.Msg) (letter StoredLetter, ok bool, err error) {
	meta, err := msg.Metadata()
	if err != nil || meta.Consumer != s.consumer {
		return letter, false, nil
	}
	if meta.Sequence.Consumer != s.delivered+1 {
		return letter, false, errors.New("a delivery was lost")
	}
	s.delivered, s.next, s.since = meta.Sequence.Consumer, meta.Sequence.Stream+1, time.Time{}
	if meta.Sequence.Stream > s.last {
		return letter, false, nil
	}
	return newStoredLetter(meta.Stream, meta.Sequence.Stream, meta.Timestamp, msg.Header, msg.Data), true, nil
}

// close also deletes the consumer, which the server would keep for a while. An account that may not delete it leaves it to the
// server.
func (s *scan) close() {
	if c := s.store.conn; s.consumer != "" {
		request := c.API("CONSUMER.DELETE." + s.store.cfg.DeadLetterStream + ".")
		c.IgnoreSubjects(request + scanName)
		_ = c.NC().Publish(request+s.consumer, nil)
	}
	if s.puller != nil {
		s.puller.Close()
	}
}

package dlq

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/conn"
)

// ErrNoLetter is wrapped by the errors for a dead letter that does not exist, or no longer.
var ErrNoLetter = errors.New("no such dead letter")

// errRecreated ends what was begun on a dead-letter stream that no longer exists.
var errRecreated = errors.New("the stream was deleted and created anew meanwhile; its dead letters are others now")

// Error codes of the JetStream API.
const (
	errorSequenceNotFound = 10043 // of a message to delete
	errorDeleteFailed     = 10057 // for any reason, for example that the message is gone
)

// LetterStore reads, replays and deletes the dead letters that are stored. It is safe for concurrent use. Only messages on the
// configured subject are dead letters, since others may keep theirs in the same stream.
//
// A sequence means nothing without the stream's time of creation. So a store fails once its stream was deleted and created anew.
// It never reads or deletes letters of the new stream.
type LetterStore struct {
	conn    *events.Conn
	cfg     config.Config
	stream  jetstream.Stream
	created time.Time
}

// OpenLetters looks up the dead-letter stream.
func OpenLetters(ctx context.Context, c *events.Conn, cfg config.Config) (*LetterStore, error) {
	stream, err := c.LookUp(ctx, cfg.DeadLetterStream, "REVOKER_DEAD_LETTER_STREAM")
	if err != nil {
		return nil, err
	}
	return NewLetterStore(c, cfg, stream), nil
}

// NewLetterStore is OpenLetters for a dead-letter stream that was looked up already.
func NewLetterStore(c *events.Conn, cfg config.Config, stream jetstream.Stream) *LetterStore {
	return &LetterStore{conn: c, cfg: cfg, stream: stream, created: stream.CachedInfo().Created}
}

// Created is when the dead-letter stream was created. Letters that were counted in a stream with another time of creation are not
// in this one.
func (s *LetterStore) Created() time.Time { return s.created }

// Stored is the number of messages in the dead-letter stream when the store was opened.
func (s *LetterStore) Stored() int { return int(s.stream.CachedInfo().State.Msgs) }

// LetterState tells whether letters came or went: it differs then.
type LetterState struct {
	Created     time.Time // of the stream: sequences start anew in one that is recreated
	First, Last uint64
	Messages    uint64
}

// State is that of the dead-letter stream when the store was opened.
func (s *LetterStore) State() LetterState {
	info := s.stream.CachedInfo()
	return LetterState{Created: info.Created, First: info.State.FirstSeq, Last: info.State.LastSeq, Messages: info.State.Msgs}
}

// All yields the selected letters, oldest first, of those that are stored when the iteration begins: what arrives later, a
// replayed event that failed again for example, is not among them. It reads a few at a time, so its memory does not grow with
// their number, with few consumers at the server however many sequences are selected. An error ends it. read, if any, is told
// of each batch how many letters were looked at.
func (s *LetterStore) All(ctx context.Context, selection Selection, read func(int)) iter.Seq2[StoredLetter, error] {
	return func(yield func(StoredLetter, error) bool) {
		last, err := s.lastSequence(ctx)
		if err != nil {
			yield(StoredLetter{}, err)
			return
		}
		for _, r := range spans(selection.ranges(last)) {
			if !s.yieldRange(ctx, selection, r, read, yield) {
				return
			}
		}
	}
}

// yieldRange reports whether the iteration goes on.
func (s *LetterStore) yieldRange(ctx context.Context, selection Selection, r SequenceRange, read func(int),
	yield func(StoredLetter, error) bool) bool {
	scan := &scan{store: s, next: r.First, last: r.Last}
	if len(selection.Sequences) == 0 {
		scan.since = selection.Since
	}
	defer scan.close()
	for {
		letters, err := scan.batch(ctx)
		if err != nil {
			yield(StoredLetter{}, err)
			return false
		}
		if read != nil {
			read(len(letters))
		}
		for _, letter := range letters {
			if !selection.Until.IsZero() && !letter.Stored.Before(selection.Until) {
				return false // a stream is in the order of time
			}
			if selection.Matches(letter) && !yield(letter, nil) {
				return false
			}
		}
		if len(letters) == 0 {
			return true
		}
	}
}

// lastSequence is that of the stream that the store was opened on, or an error if that stream no longer exists.
func (s *LetterStore) lastSequence(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	doing := "reading the state of stream " + s.cfg.DeadLetterStream
	info, err := s.stream.Info(ctx)
	if err != nil {
		return 0, s.conn.ExplainAPI(doing, "STREAM.INFO."+s.cfg.DeadLetterStream, err)
	}
	if !info.Created.Equal(s.created) {
		return 0, fmt.Errorf("%s: %w", doing, errRecreated)
	}
	return info.State.LastSeq, nil
}

// Get returns one letter, or an error that wraps [ErrNoLetter].
func (s *LetterStore) Get(ctx context.Context, sequence uint64) (StoredLetter, error) {
	name := events.LetterName(s.cfg.DeadLetterStream, sequence)
	msg, err := s.conn.Message(ctx, s.cfg.DeadLetterStream, conn.Place{Sequence: sequence})
	if errors.Is(err, conn.ErrNoMessage) {
		return StoredLetter{}, fmt.Errorf("%w: %s", ErrNoLetter, name)
	}
	if err != nil {
		return StoredLetter{}, err
	}
	if msg.Subject != s.cfg.DeadLetterSubject {
		return StoredLetter{}, fmt.Errorf("%w: %s is a message on another subject than %s", ErrNoLetter, name, s.cfg.DeadLetterSubject)
	}
	return newStoredLetter(s.cfg.DeadLetterStream, sequence, msg.Published, msg.Header, msg.Payload), nil
}

// confirm checks that a letter is still stored: the one that was read, and not another of the same sequence. The error wraps
// [ErrNoLetter] if it is not.
func (s *LetterStore) confirm(ctx context.Context, letter StoredLetter) error {
	current, err := s.Get(ctx, letter.Sequence)
	if err == nil && !current.Stored.Equal(letter.Stored) {
		return fmt.Errorf("%w: %s is another letter by now, of a stream that was created anew", ErrNoLetter, letter.Name())
	}
	return err
}

// Delete deletes a letter. The error wraps [ErrNoLetter] if somebody else was faster.
//
// The server deletes by sequence alone, so the letter is looked up just before. One case remains: between the two requests the
// stream is deleted and created anew, and stores a letter of this sequence.
func (s *LetterStore) Delete(ctx context.Context, letter StoredLetter) error {
	if err := s.confirm(ctx, letter); err != nil {
		return err
	}
	var response struct {
		Error *jetstream.APIError `json:"error"`
	}
	doing := "deleting dead letter " + letter.Name()
	body := fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, letter.Sequence)
	if err := s.conn.Ask(ctx, doing, "STREAM.MSG.DELETE."+letter.Stream, body, &response); err != nil {
		return err
	}
	if response.Error == nil {
		return nil
	}
	if code := response.Error.ErrorCode; code == errorSequenceNotFound || code == errorDeleteFailed {
		if _, missing := s.Get(ctx, letter.Sequence); errors.Is(missing, ErrNoLetter) {
			return missing
		}
	}
	return fmt.Errorf("%s: %w", doing, response.Error)
}

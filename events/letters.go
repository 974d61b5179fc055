package events

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// ErrNoLetter is wrapped by the errors for a dead letter that is not there, or not any more.
var ErrNoLetter = errors.New("no such dead letter")

// Error codes of the JetStream API.
const (
	errorSequenceNotFound = 10043 // of a message that is to be deleted
	errorDeleteFailed     = 10057 // for whatever reason; that the message is gone is one
)

// LetterStore reads, replays and deletes the dead letters that are stored. It is safe for concurrent use. It takes the
// messages on the configured subject alone for dead letters, since others may keep theirs in the same stream.
type LetterStore struct {
	conn   *Conn
	cfg    config.Config
	stream jetstream.Stream
}

// OpenLetters looks the dead-letter stream up.
func OpenLetters(ctx context.Context, conn *Conn, cfg config.Config) (*LetterStore, error) {
	stream, err := conn.lookUp(ctx, cfg.DeadLetterStream, "REVOKER_DEAD_LETTER_STREAM")
	if err != nil {
		return nil, err
	}
	return &LetterStore{conn: conn, cfg: cfg, stream: stream}, nil
}

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

// All yields the selected letters, oldest first, of those that are stored when the iteration begins: what arrives later,
// a replayed event that failed again for example, is not among them. It reads a few at a time, so its memory does not
// grow with their number, with few consumers at the server however many sequences are selected. An error ends it. read, if any, is told of each batch how many letters were looked at.
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

// yieldRange reports whether the iteration is to go on.
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

func (s *LetterStore) lastSequence(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	info, err := s.stream.Info(ctx)
	if err != nil {
		return 0, s.conn.explainAPI("reading the state of stream "+s.cfg.DeadLetterStream, "STREAM.INFO."+s.cfg.DeadLetterStream, err)
	}
	return info.State.LastSeq, nil
}

// Get returns one letter, or an error that wraps [ErrNoLetter].
func (s *LetterStore) Get(ctx context.Context, sequence uint64) (StoredLetter, error) {
	name := letterName(s.cfg.DeadLetterStream, sequence)
	msg, err := s.conn.message(ctx, s.cfg.DeadLetterStream, sequence)
	if errors.Is(err, errNoMessage) {
		return StoredLetter{}, fmt.Errorf("%w: %s", ErrNoLetter, name)
	}
	if err != nil {
		return StoredLetter{}, err
	}
	if msg.subject != s.cfg.DeadLetterSubject {
		return StoredLetter{}, fmt.Errorf("%w: %s is a message on another subject than %s", ErrNoLetter, name, s.cfg.DeadLetterSubject)
	}
	return newStoredLetter(s.cfg.DeadLetterStream, sequence, msg.stored, msg.header, msg.payload), nil
}

// Delete deletes a letter. The error wraps [ErrNoLetter] if somebody else was faster.
func (s *LetterStore) Delete(ctx context.Context, letter StoredLetter) error {
	var response struct {
		Error *jetstream.APIError `json:"error"`
	}
	doing := "deleting dead letter " + letter.Name()
	body := fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, letter.Sequence)
	if err := s.conn.ask(ctx, doing, "STREAM.MSG.DELETE."+letter.Stream, body, &response); err != nil {
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

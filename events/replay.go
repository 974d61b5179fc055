package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// RefusedError says why one letter can't be replayed, whoever tries again and however often. The reason has nothing of
// the letter's own in it, so that there are few different ones.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// A letter that was read longer ago is looked up before it is replayed: another operator may have replayed it, longer
// ago than the event stream's duplicate window reaches back.
const letterFresh = 30 * time.Second

// Replayer publishes the events of dead letters again. It is safe for concurrent use.
type Replayer struct {
	letters *LetterStore
	events  jetstream.Stream
}

// Replayer looks up the event stream, which is to store the events again.
func (s *LetterStore) Replayer(ctx context.Context) (*Replayer, error) {
	stream, err := s.conn.lookUp(ctx, s.cfg.Stream, "REVOKER_STREAM")
	if err != nil {
		return nil, err
	}
	return &Replayer{letters: s, events: stream}, nil
}

// Replay publishes a letter's event to the event stream, and deletes the letter once the stream has confirmed it. repeated
// tells that an earlier replay had published the event and not deleted the letter. The error is a [*RefusedError], or wraps
// [ErrNoLetter] if somebody else was faster; else the letter is still there.
//
// A crash between the two leaves the letter. Replayed again, it is not stored twice within the event stream's duplicate
// window (2 minutes by default); later it is, which costs one call of the API, for the call is idempotent.
func (r *Replayer) Replay(ctx context.Context, letter StoredLetter) (repeated bool, err error) {
	if time.Since(letter.read) > letterFresh {
		if err := r.letters.confirm(ctx, letter); err != nil {
			return false, err
		}
	}
	msg, err := r.message(ctx, letter)
	if err != nil {
		return false, err
	}
	repeated, err = r.publish(ctx, letter, msg)
	if err != nil {
		return false, err
	}
	return repeated, r.letters.Delete(ctx, letter)
}

// message is the event as it is to be published: what its publisher wrote, and what it was before.
func (r *Replayer) message(ctx context.Context, letter StoredLetter) (*nats.Msg, error) {
	if from := letter.Origin.Stream; from != "" && from != r.letters.cfg.Stream {
		return nil, &RefusedError{"its event is of another stream than " + r.letters.cfg.Stream + ": set REVOKER_STREAM and REVOKER_SUBJECT"}
	}
	subject, err := r.subject(letter)
	if err != nil {
		return nil, err
	}
	header, payload := letter.Header, letter.Payload
	if letter.HeadersOmitted > 0 || letter.PayloadOmitted > 0 {
		event, err := r.event(ctx, letter)
		if err != nil {
			return nil, err
		}
		header, payload = event.header, event.payload
	}
	own, _ := original(header) // what cannot be sent is left out, as it was from the letter
	own.Set(HeaderReplayOf, letter.Name())
	return &nats.Msg{Subject: subject, Header: own, Data: payload}, nil
}

// subject is the one that the event had, if the workers' consumer still takes events from it, or else the configured one.
// A letter may come from anyone who may publish to the dead-letter subject; it must not choose freely what the operator's
// account publishes to.
func (r *Replayer) subject(letter StoredLetter) (string, error) {
	configured := r.letters.cfg.Subject
	for _, subject := range []string{letter.Origin.Subject, configured} {
		if literal(subject) && config.SubjectMatches(configured, subject) && stores(r.events, subject) {
			return subject, nil
		}
	}
	if !literal(configured) {
		return "", &RefusedError{"its subject is not one of REVOKER_SUBJECT, which has wildcards: set it to the one subject to publish to"}
	}
	return "", fmt.Errorf("stream %s does not store %s: look at REVOKER_STREAM and REVOKER_SUBJECT", r.letters.cfg.Stream, configured)
}

// event is the original, of which not all fitted into the letter.
func (r *Replayer) event(ctx context.Context, letter StoredLetter) (storedMessage, error) {
	gone := &RefusedError{"a part of its event did not fit into the letter, and the event is no longer in stream " + r.letters.cfg.Stream}
	if letter.Origin.Sequence == 0 {
		return storedMessage{}, gone
	}
	event, err := r.letters.conn.message(ctx, r.letters.cfg.Stream, letter.Origin.Sequence)
	switch {
	case errors.Is(err, errNoMessage):
		return storedMessage{}, gone
	case err != nil:
		return storedMessage{}, err
	case !event.stored.Equal(letter.Origin.Published): // the stream was recreated
		return storedMessage{}, gone
	}
	return event, nil
}

// publish stores the event. Its message ID makes a second publication within the duplicate window store nothing.
func (r *Replayer) publish(ctx context.Context, letter StoredLetter, msg *nats.Msg) (repeated bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn := r.letters.conn
	ack, err := conn.js.PublishMsg(ctx, msg, jetstream.WithMsgID(letter.replayID()), jetstream.WithExpectStream(r.letters.cfg.Stream))
	switch {
	case tooLarge(err):
		return false, &RefusedError{"its event is too large to be published with the headers of a replay"}
	case err != nil:
		return false, conn.explainPublish("publishing the event of dead letter "+letter.Name(), msg.Subject, err)
	}
	return ack.Duplicate, nil
}

// stores reports whether a stream's own subjects cover this one.
func stores(stream jetstream.Stream, subject string) bool {
	return slices.ContainsFunc(stream.CachedInfo().Config.Subjects, func(s string) bool { return config.SubjectMatches(s, subject) })
}

// literal reports whether a subject is one to publish to.
func literal(subject string) bool { return subject != "" && !strings.ContainsAny(subject, "*> \t\r\n") }

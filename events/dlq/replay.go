package dlq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/conn"
)

// RefusedError says why one letter can't be replayed, however often anyone tries. The reason quotes nothing of the letter, so that
// there are few different reasons.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// A letter that was read longer ago is looked up before it is replayed. Another operator may have replayed it longer ago than the
// event stream's duplicate window reaches back.
const letterFresh = 30 * time.Second

// Replayer publishes the events of dead letters again. It is safe for concurrent use.
type Replayer struct {
	letters *LetterStore
	events  jetstream.Stream
	lane    config.Lane
}

// Replayer looks up the event stream, which will store the events again, in the lane. Ask [events.FindLane] for that one before.
func (s *LetterStore) Replayer(ctx context.Context, lane config.Lane) (*Replayer, error) {
	stream, err := s.conn.LookUp(ctx, s.cfg.Stream, "REVOKER_STREAM")
	if err != nil {
		return nil, err
	}
	return &Replayer{letters: s, events: stream, lane: lane}, nil
}

// Replay publishes a letter's event to the event stream, and deletes the letter once the stream has confirmed the event. repeated
// tells that an earlier replay had published the event and not deleted the letter. The error is a [*RefusedError], or wraps
// [ErrNoLetter] if somebody else was faster. After any other error the letter is still stored.
//
// A crash between the two steps leaves the letter. If it is replayed again within the event stream's duplicate window (2 minutes
// by default), its event is not stored twice. Later it is, which costs one call of the API, since the call is idempotent.
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

// message is the event to publish: what its publisher wrote, and the name of the letter that it was.
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
		header, payload = event.Header, event.Payload
	}
	own, _ := events.OriginalHeader(header) // what cannot be sent is left out, as it was from the letter
	own.Set(events.HeaderReplayOf, letter.Name())
	return &nats.Msg{Subject: subject, Header: own, Data: payload}, nil
}

// subject is that of the bulk lane. In the live lane it is the one that the event had, if the workers' consumer still takes events
// from it, or else the configured one. A letter may come from anyone who may publish to the dead-letter subject. It must not choose
// freely which subject the operator's account publishes to.
func (r *Replayer) subject(letter StoredLetter) (string, error) {
	if r.lane == config.Bulk {
		return r.letters.cfg.BulkSubject, nil
	}
	configured := r.letters.cfg.Subject
	for _, subject := range []string{letter.Origin.Subject, configured} {
		if literal(subject) && config.SubjectMatches(configured, subject) && events.Stores(r.events.CachedInfo().Config, subject) {
			return subject, nil
		}
	}
	if !literal(configured) {
		return "", &RefusedError{"its subject is not one of REVOKER_SUBJECT, which has wildcards: set it to the one subject to publish to"}
	}
	return "", fmt.Errorf("stream %s does not store %s: look at REVOKER_STREAM and REVOKER_SUBJECT", r.letters.cfg.Stream, configured)
}

// event is the original event, which did not fit into the letter.
func (r *Replayer) event(ctx context.Context, letter StoredLetter) (conn.StoredMessage, error) {
	gone := &RefusedError{"a part of its event did not fit into the letter, and the event is no longer in stream " + r.letters.cfg.Stream}
	if letter.Origin.Sequence == 0 {
		return conn.StoredMessage{}, gone
	}
	event, err := r.letters.conn.Message(ctx, r.letters.cfg.Stream, conn.Place{Sequence: letter.Origin.Sequence})
	switch {
	case errors.Is(err, conn.ErrNoMessage):
		return conn.StoredMessage{}, gone
	case err != nil:
		return conn.StoredMessage{}, err
	case !event.Published.Equal(letter.Origin.Published): // the stream was recreated
		return conn.StoredMessage{}, gone
	}
	return event, nil
}

// publish stores the event. Its message ID makes a second publication within the duplicate window store nothing.
func (r *Replayer) publish(ctx context.Context, letter StoredLetter, msg *nats.Msg) (repeated bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	ack, err := r.letters.conn.JetStream().PublishMsg(ctx, msg, jetstream.WithMsgID(letter.replayID()), jetstream.WithExpectStream(r.letters.cfg.Stream))
	switch {
	case conn.TooLarge(err):
		return false, &RefusedError{"its event is too large to be published with the headers of a replay"}
	case err != nil:
		return false, r.letters.conn.ExplainPublish("publishing the event of dead letter "+letter.Name(), msg.Subject, err)
	}
	return ack.Duplicate, nil
}

// literal reports whether a subject has no wildcard, so that one can publish to it.
func literal(subject string) bool {
	return subject != "" && !config.HasWildcard(subject) && !strings.ContainsAny(subject, " \t\r\n")
}

package admin

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/dlq"
	"revoker/events/internal/conn"
)

// deadLetterVariable names the dead-letter stream.
const deadLetterVariable = "REVOKER_DEAD_LETTER_STREAM"

// countedMost bounds how many dead letters are read to count their reasons. The newest are read.
const countedMost = 10_000

// DeadLetterCount is how many dead letters there are, and why.
type DeadLetterCount struct {
	Total int `json:"total"`
	// Reasons counts the newest Counted of them.
	Reasons map[string]int `json:"reasons"`
	Counted int            `json:"counted"`
	// Oldest is when the first one was stored; nil if there is none.
	Oldest *time.Time `json:"oldest,omitempty"`
	// FirstSequence and LastSequence are the stream's. With Total they tell whether letters came or went.
	FirstSequence uint64 `json:"firstSequence"`
	LastSequence  uint64 `json:"lastSequence"`
}

// reasonCounter counts dead letters by reason. It reads them again only if the stream has changed.
type reasonCounter struct {
	created time.Time
	state   jetstream.StreamState
	count   *DeadLetterCount
	denied  error // why the account may not read letters; it is not tried again
}

func (r *reasonCounter) read(ctx context.Context, c *events.Conn, cfg config.Config) (*DeadLetterCount, error) {
	name := cfg.DeadLetterStream
	stream, err := c.LookUp(ctx, name, deadLetterVariable)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(cfg.DeadLetterSubject))
	if err != nil {
		return nil, c.ExplainMissing("looking up stream "+name, "STREAM.INFO."+name, err)
	}
	state := info.State
	if r.count != nil && r.created.Equal(info.Created) && r.state.LastSeq == state.LastSeq && r.state.Msgs == state.Msgs && r.state.FirstSeq == state.FirstSeq {
		return r.count, nil
	}
	count := &DeadLetterCount{Total: int(state.Subjects[cfg.DeadLetterSubject]), Reasons: map[string]int{},
		FirstSequence: state.FirstSeq, LastSequence: state.LastSeq, Oldest: oldestOf(state)}
	if r.denied != nil && state.Msgs > 0 {
		return count, r.denied
	}
	store := dlq.NewLetterStore(c, cfg, stream)
	newest := dlq.SequenceRange{First: state.FirstSeq, Last: state.LastSeq}
	switch {
	case r.count != nil && r.created.Equal(info.Created) && r.onlyAdded(state): // reading all anew takes time from a worker that drains its queue
		newest.First = r.state.LastSeq + 1
		count.Reasons, count.Counted = maps.Clone(r.count.Reasons), r.count.Counted
	case state.Msgs > countedMost:
		newest.First = state.LastSeq - countedMost + 1
	}
	for letter, err := range store.All(ctx, dlq.Selection{Sequences: []dlq.SequenceRange{newest}}, nil) {
		if err != nil {
			if errors.Is(err, conn.ErrDenied) {
				r.denied = err
			}
			return count, err
		}
		count.add(letter)
	}
	r.created, r.state, r.count = info.Created, state, count
	return count, nil
}

// oldestOf is when the first message of a stream was stored; nil if there is none.
func oldestOf(state jetstream.StreamState) *time.Time {
	if state.Msgs == 0 {
		return nil
	}
	first := state.FirstTime.UTC()
	return &first
}

// onlyAdded reports whether letters came since the last count, not too many, and none went.
func (r *reasonCounter) onlyAdded(state jetstream.StreamState) bool {
	added := state.LastSeq - r.state.LastSeq
	return state.LastSeq > r.state.LastSeq && added <= countedMost && state.Msgs == r.state.Msgs+added &&
		state.FirstSeq == r.state.FirstSeq && state.FirstTime.Equal(r.state.FirstTime)
}

// add counts a letter. All reasons that are not revoker's count under one name, since anybody may have written them.
func (c *DeadLetterCount) add(l dlq.StoredLetter) {
	reason := l.Reason
	switch reason {
	case events.ReasonCallerError, events.ReasonInvalidEvent, events.ReasonRetriesExhausted:
	default:
		reason = dlq.OtherGroups
	}
	c.Reasons[reason]++
	c.Counted++
}

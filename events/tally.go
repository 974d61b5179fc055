package events

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// tallyMost bounds how many dead letters are read to count their reasons: the newest.
const tallyMost = 10_000

// DeadLetterCount is how many dead letters there are, and why.
type DeadLetterCount struct {
	Total int `json:"total"`
	// Reasons counts the newest Counted of them.
	Reasons map[string]int `json:"reasons"`
	Counted int            `json:"counted"`
	// FirstSequence and LastSequence are the stream's. With Total they tell whether letters came or went.
	FirstSequence uint64 `json:"firstSequence"`
	LastSequence  uint64 `json:"lastSequence"`
}

// letterTally counts dead letters by reason, and reads them again only when the stream has changed.
type letterTally struct {
	created time.Time
	state   jetstream.StreamState
	count   *DeadLetterCount
}

func (t *letterTally) read(ctx context.Context, conn *Conn, cfg config.Config) (*DeadLetterCount, error) {
	name := cfg.DeadLetterStream
	stream, err := conn.js.Stream(ctx, name)
	var info *jetstream.StreamInfo
	if err == nil {
		info, err = stream.Info(ctx, jetstream.WithSubjectFilter(cfg.DeadLetterSubject))
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return &DeadLetterCount{Reasons: map[string]int{}}, nil
	}
	if err != nil {
		return nil, conn.explainMissing("looking up stream "+name, "STREAM.INFO."+name, err)
	}
	state := info.State
	if t.count != nil && t.created.Equal(info.Created) && t.state.LastSeq == state.LastSeq && t.state.Msgs == state.Msgs && t.state.FirstSeq == state.FirstSeq {
		return t.count, nil
	}
	count := &DeadLetterCount{Total: int(state.Subjects[cfg.DeadLetterSubject]), Reasons: map[string]int{},
		FirstSequence: state.FirstSeq, LastSequence: state.LastSeq}
	store := newLetterStore(conn, cfg, stream)
	newest := SequenceRange{First: state.FirstSeq, Last: state.LastSeq}
	switch {
	case t.count != nil && t.created.Equal(info.Created) && t.onlyAdded(state): // reading all anew takes time from a worker that drains its queue
		newest.First = t.state.LastSeq + 1
		count.Reasons, count.Counted = maps.Clone(t.count.Reasons), t.count.Counted
	case state.Msgs > tallyMost:
		newest.First = state.LastSeq - tallyMost + 1
	}
	for letter, err := range store.All(ctx, Selection{Sequences: []SequenceRange{newest}}, nil) {
		if err != nil {
			return count, err
		}
		count.add(letter)
	}
	t.created, t.state, t.count = info.Created, state, count
	return count, nil
}

// onlyAdded reports whether letters came since the last count, not too many, and none went.
func (t *letterTally) onlyAdded(state jetstream.StreamState) bool {
	added := state.LastSeq - t.state.LastSeq
	return state.LastSeq > t.state.LastSeq && added <= tallyMost && state.Msgs == t.state.Msgs+added &&
		state.FirstSeq == t.state.FirstSeq && state.FirstTime.Equal(t.state.FirstTime)
}

// add counts a letter; what is no reason of revoker's counts under one name, since anybody may have written it.
func (c *DeadLetterCount) add(l StoredLetter) {
	reason := l.Reason
	switch reason {
	case ReasonCallerError, ReasonInvalidEvent, ReasonRetriesExhausted:
	default:
		reason = OtherGroups
	}
	c.Reasons[reason]++
	c.Counted++
}

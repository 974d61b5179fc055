package sessions

import (
	"context"
	"errors"
	"time"

	"revoker/events"
	"revoker/events/dlq"
)

const (
	// maxLetters bounds the dead letters that are looked through: the newest. They take less than a second.
	maxLetters = 100_000
	// shownLetters bounds those of the session itself.
	shownLetters = 100
)

// readLetters looks through the newest dead letters, for so long.
func (f *finder) readLetters(ctx context.Context, scan time.Duration) error {
	store, err := dlq.OpenLetters(ctx, f.conn, f.cfg)
	if err != nil {
		return err
	}
	state := store.State()
	f.Letters = &Looked{Of: int(state.Messages)}
	if state.Messages == 0 {
		return nil
	}
	newest := dlq.SequenceRange{First: state.First, Last: state.Last}
	if state.Last-state.First >= maxLetters {
		newest.First = state.Last - maxLetters + 1
	}
	ctx, cancel := context.WithTimeout(ctx, scan)
	defer cancel()
	selection := dlq.Selection{Sequences: []dlq.SequenceRange{newest}}
	for letter, err := range store.All(ctx, selection, func(n int) { f.Letters.At += n }) {
		if err != nil {
			return endOfScan(ctx, err)
		}
		if !f.key.matches(events.Decode(letter.Header, letter.Payload)) {
			continue
		}
		if len(f.DeadLetters) == shownLetters {
			f.DeadLetters = f.DeadLetters[1:]
		}
		f.DeadLetters = append(f.DeadLetters, Letter{
			Name: letter.Name(), Sequence: letter.Sequence, Stored: letter.Stored, Reason: letter.Reason, ResultCode: letter.ResultCode,
			Error: letter.Error, Attempts: letter.Origin.Deliveries, Published: letter.Origin.Published, origin: letter.Origin,
		})
	}
	return nil
}

// endOfScan is nil for the error by which the time for a scan ended it. What the scan did not see is told by Looked.
func endOfScan(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil
	}
	return err
}

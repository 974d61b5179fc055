package dlq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync/atomic"

	"revoker/cmd/revoker/terminal"
	"revoker/events/dlq"
)

// sweepTally counts what became of the letters.
type sweepTally struct {
	sweep    *letterSweep
	chosen   *choice
	swept    bool
	done     int
	repeated atomic.Int64 // of those done
	gone     int          // somebody else was faster
	refused  map[string]*refusal
	err      error // what ended the sweep early
}

// refusal is letters that could not be done for the same reason.
type refusal struct {
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
	Example uint64 `json:"example"`
}

func (t *sweepTally) add(letter dlq.StoredLetter, err error) {
	var refused *dlq.RefusedError
	switch {
	case err == nil:
		t.done++
	case errors.Is(err, dlq.ErrNoLetter):
		t.gone++
	case errors.As(err, &refused):
		if t.refused[refused.Reason] == nil {
			t.refused[refused.Reason] = &refusal{Reason: refused.Reason, Example: letter.Sequence}
		}
		t.refused[refused.Reason].Count++
	}
}

func (t *sweepTally) refusals() (list []*refusal, total int) {
	list = []*refusal{}
	for _, reason := range slices.Sorted(maps.Keys(t.refused)) {
		list = append(list, t.refused[reason])
		total += t.refused[reason].Count
	}
	return list, total
}

// report prints the outcome, and returns an error if it is not all that was asked for.
func (t *sweepTally) report(out io.Writer) error {
	refusals, refused := t.refusals()
	left := t.chosen.groups.Total - t.done - t.gone - refused
	if t.swept && t.err == nil { // letters that were not seen a second time
		t.gone, left = t.gone+left, 0
	}
	var err error
	if t.sweep.json {
		err = t.json(out, refusals, left)
	} else {
		err = t.text(out, refusals, left)
	}
	switch {
	case err != nil:
		return err
	case errors.Is(t.err, context.Canceled):
		return errors.New("interrupted; the same command goes on where it stopped")
	case t.err != nil:
		return t.err
	case refused > 0:
		return fmt.Errorf("%s could not be %s", terminal.Counted(refused, "dead letter"), t.sweep.done)
	}
	return t.chosen.missingError()
}

func (t *sweepTally) text(out io.Writer, refusals []*refusal, left int) error {
	total := t.chosen.groups.Total
	if total == 0 {
		_, err := fmt.Fprintln(out, "no dead letter matches")
		return err
	}
	if !t.swept {
		_, err := fmt.Fprintf(out, "nothing was %s\n", t.sweep.done)
		return err
	}
	fmt.Fprintf(out, "%s %d of %s", t.sweep.done, t.done, terminal.Counted(total, "dead letter"))
	for _, part := range []struct {
		n    int
		text string
	}{
		{int(t.repeated.Load()), "had been published before"}, {t.gone, "already gone"}, {left, "left"},
	} {
		if part.n > 0 {
			fmt.Fprintf(out, ", %d %s", part.n, part.text)
		}
	}
	fmt.Fprintln(out)
	for _, r := range refusals {
		if _, err := fmt.Fprintf(out, "%d refused, %d for example: %s\n", r.Count, r.Example, r.Reason); err != nil {
			return err
		}
	}
	return nil
}

func (t *sweepTally) json(out io.Writer, refusals []*refusal, left int) error {
	return terminal.WriteJSON(out, struct {
		Chosen   int         `json:"chosen"`
		Groups   []groupJSON `json:"groups"`
		Done     int         `json:"done"`
		Repeated int64       `json:"publishedBefore"`
		Gone     int         `json:"gone"`
		Left     int         `json:"left"`
		Refused  []*refusal  `json:"refused"`
		Missing  []uint64    `json:"missing,omitempty"`
	}{t.chosen.groups.Total, groupsJSON(&t.chosen.groups), t.done, t.repeated.Load(), t.gone, left, refusals, t.chosen.missing})
}

package dlq

import (
	"fmt"
	"slices"
	"strings"

	"revoker/events/dlq"
)

// choice is the letters that were there when the operator was asked.
type choice struct {
	groups  dlq.LetterGroups
	last    uint64   // the newest of them
	missing []uint64 // sequences that were named one by one
}

// choose counts the letters, but at most limit of them if that is not 0.
func choose(letters letterSeq, selection dlq.Selection, limit int) (*choice, error) {
	c := &choice{}
	named := map[uint64]bool{}
	for _, r := range selection.Sequences {
		if r.First == r.Last {
			named[r.First] = true
		}
	}
	full := false
	for letter, err := range letters {
		if err != nil {
			return nil, err
		}
		if full = limit > 0 && c.groups.Total == limit; full {
			break
		}
		c.groups.Add(letter)
		c.last = letter.Sequence
		delete(named, letter.Sequence)
	}
	for sequence := range named {
		if !full {
			c.missing = append(c.missing, sequence)
		}
	}
	slices.Sort(c.missing)
	return c, nil
}

// again leaves those of the letters that were chosen.
func (c *choice) again(letters letterSeq) letterSeq {
	return func(yield func(dlq.StoredLetter, error) bool) {
		for letter, err := range letters {
			if err == nil && letter.Sequence > c.last || !yield(letter, err) {
				return
			}
		}
	}
}

// missingError names the sequences that were asked for and are not there.
func (c *choice) missingError() error {
	if len(c.missing) == 0 {
		return nil
	}
	const most = 20
	list := strings.Trim(fmt.Sprint(c.missing[:min(len(c.missing), most)]), "[]")
	return fmt.Errorf("missing, or not matched by the filter: %s", strings.ReplaceAll(list, " ", ", "))
}

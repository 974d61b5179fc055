package publish

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"slices"
	"sync"

	"golang.org/x/time/rate"

	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/eventfile"
)

const (
	duplicatesKnown = 10_000_000 // rows among which a dry run finds duplicates; 8 bytes each
	faultsTold      = 10         // invalid rows that the summary names
	estimateRows    = 4096       // rows after which the total is estimated anew
)

// publication takes rows from the inputs and counts what comes of them.
type publication struct {
	inputs   *inputs
	skip     int64 // lines of the first input
	rejects  *rejects
	lane     config.Lane // to which it publishes
	progress *terminal.Progress

	mu       sync.Mutex
	tally    tally
	faults   []fault
	broken   bool // an event was not stored, so that reached moves no more
	rejected error
}

// tally counts rows. Every row is in exactly one of the other counts, but those that were not confirmed.
type tally struct {
	rows, skipped, published, alreadyThere, duplicates, invalid int64
	reached                                                     position
}

// position is the line up to which everything is done, of input number input.
type position struct {
	input int
	line  int64
}

// fault is a row that is not an event.
type fault struct {
	input  string
	line   int64
	reason error
}

// each hands every row that is an event to take, and notes the others. It returns why it stopped before the end, if it did.
func (p *publication) each(ctx context.Context, take func(at position, row eventfile.Row) error) error {
	for {
		for {
			row, err := p.inputs.next()
			if err == io.EOF {
				break
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return err
			}
			if err := p.one(position{p.inputs.at, row.Line}, row, take); err != nil {
				return err
			}
		}
		if !p.inputs.further() {
			return nil
		}
	}
}

func (p *publication) one(at position, row eventfile.Row, take func(position, eventfile.Row) error) error {
	p.mu.Lock()
	p.tally.rows++
	rows, skip := p.tally.rows, at.input == 0 && row.Line <= p.skip
	if skip {
		p.tally.skipped++
		p.tally.reached = at
	}
	failed := p.rejected
	p.mu.Unlock()
	if rows%estimateRows == 0 {
		p.progress.SetTotal(p.inputs.estimate(rows) - min(p.skip, rows))
	}
	switch {
	case failed != nil:
		return failed
	case skip:
		return nil
	case row.Err != nil:
		return p.reject(p.inputs.name(), row, row.Err)
	}
	return take(at, row)
}

// reject records a row that is not an event. If the row can't be kept, nothing more is read.
func (p *publication) reject(input string, row eventfile.Row, reason error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.invalid++
	if len(p.faults) < faultsTold {
		p.faults = append(p.faults, fault{input, row.Line, reason})
	}
	if err := p.rejects.write(input, row, reason); err != nil && p.rejected == nil {
		p.rejected = err
	}
	p.progress.Add(1)
	return p.rejected
}

// send publishes rows, as fast as limit allows where there is one.
func (p *publication) send(ctx context.Context, bulk *events.BulkPublisher, limit *rate.Limiter) func(position, eventfile.Row) error {
	return func(at position, row eventfile.Row) error {
		if limit != nil {
			if err := limit.Wait(ctx); err != nil {
				return err
			}
		}
		var raw []byte
		if p.rejects != nil {
			raw = bytes.Clone(row.Raw) // the reader goes on
		}
		return bulk.Publish(row.Event, func(duplicate bool, err error) {
			if errors.Is(err, events.ErrTooLarge) {
				err = p.reject(title(p.inputs.names[at.input]), eventfile.Row{Line: at.line, Raw: raw}, err)
			} else {
				p.settled(duplicate, err)
			}
			p.reach(at, err)
		})
	}
}

func (p *publication) settled(duplicate bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil:
		return
	case duplicate:
		p.tally.alreadyThere++
	default:
		p.tally.published++
	}
	p.progress.Add(1)
}

// reach moves on the line up to which everything is done, unless something before it is not.
func (p *publication) reach(at position, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = p.broken || err != nil
	if !p.broken {
		p.tally.reached = at
	}
}

// checker takes rows without sending them.
type checker struct {
	publication *publication
	seed        maphash.Seed
	hashes      []uint64 // of the first rows' message IDs
}

func (c *checker) take(at position, row eventfile.Row) error {
	if len(c.hashes) < duplicatesKnown {
		c.hashes = append(c.hashes, maphash.String(c.seed, row.Event.MessageID(config.Live)))
	}
	c.publication.reach(at, nil)
	c.publication.progress.Add(1)
	return nil
}

// duplicates counts the rows whose session came before.
func (c *checker) duplicates() int64 {
	slices.Sort(c.hashes)
	return int64(len(c.hashes) - len(slices.Compact(c.hashes)))
}

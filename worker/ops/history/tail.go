package history

import (
	"slices"
	"time"

	"revoker/worker"
)

// recentSettled is how many settlements are kept one by one, of each kind.
const recentSettled = 50

// Kind is what the tail of settlements can be followed for.
type Kind string

// The kinds.
const (
	Revoked       Kind = "revoked"
	Retried       Kind = "retry"
	Misconfigured Kind = "misconfigured"
	DeadLetter    Kind = "dead-letter"
)

var kinds = [4]Kind{Revoked, Retried, Misconfigured, DeadLetter}

func kindOf(outcome worker.Outcome) Kind {
	switch {
	case outcome == worker.Revoked:
		return Revoked
	case outcome == worker.Misconfigured:
		return Misconfigured
	case outcome.Reason() != "":
		return DeadLetter
	}
	return Retried
}

// KnownKind reports whether the tail can be followed for this kind.
func KnownKind(kind Kind) bool { return slices.Contains(kinds[:], kind) }

// Settled is one settlement and when it was observed. Number counts settlements from 1 on.
type Settled struct {
	Number int
	At     time.Time
	worker.Settlement
}

// tail keeps the last settlements of each kind, so that a rare one can be followed at full load. The owner of a History guards it.
type tail struct {
	settled int
	rings   [len(kinds)]ring
}

type ring struct {
	count int
	kept  [recentSettled]Settled // by count modulo its length
}

func (t *tail) observe(s worker.Settlement, now time.Time) {
	t.settled++
	r := &t.rings[slices.Index(kinds[:], kindOf(s.Outcome))]
	r.count++
	r.kept[r.count%recentSettled] = Settled{t.settled, now, s}
}

// Recent returns the settlements of one kind, or of all if kind is empty, that follow number after, newest first: at most 50.
func (h *History) Recent(after int, kind Kind) []Settled {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []Settled{}
	for i := range h.tail.rings {
		if kind == "" || kind == kinds[i] {
			list = append(list, h.tail.rings[i].since(after)...)
		}
	}
	slices.SortFunc(list, func(a, b Settled) int { return b.Number - a.Number })
	return list[:min(len(list), recentSettled)]
}

func (r *ring) since(after int) []Settled {
	var list []Settled
	for n := r.count; n > max(0, r.count-recentSettled); n-- {
		settled := r.kept[n%recentSettled]
		if settled.Number <= after {
			break
		}
		list = append(list, settled)
	}
	return list
}

package fleet

import (
	"cmp"
	"slices"
	"time"

	"revoker/events/peer"
	"revoker/worker/ops/history"
)

const (
	// missedMost is how many questions in a row a worker may leave without an answer. One may be lost on a busy machine.
	missedMost = 3
	// hideAfter is how long a worker that does not answer any more is shown.
	hideAfter = 5 * time.Minute
	// maxMembers bounds the workers to remember: whoever may subscribe to the workers' subject may answer as many.
	maxMembers = 1000
)

// Worker is a worker that answers, or did lately.
type Worker struct {
	peer.State
	// ID tells it from the others.
	ID string `json:"id"`
	// Own tells that it is the one that serves the page.
	Own bool `json:"own,omitempty"`
	// Answered is when it answered last. Silent tells that it does not any more.
	Answered time.Time `json:"answered"`
	Silent   bool      `json:"silent,omitempty"`
}

// members are the workers by their keys. The owner of a Fleet guards them.
type members map[string]*member

type member struct {
	state    peer.State
	answered time.Time
	missed   int // questions in a row
	told     bool
	through  int64 // the last step that is in the sums, in Unix seconds by this worker's clock
	shift    int64 // what to add to the times of its steps, in seconds
}

// own notes this worker's state, which needs no question.
func (m members) own(state peer.State, now time.Time) {
	w := m.named(state.Key())
	w.state, w.answered, w.missed, w.told = state, now, 0, true
}

func (m members) named(key string) *member {
	if m[key] == nil {
		m[key] = &member{}
	}
	return m[key]
}

// question notes that all were asked. It forgets who has not answered for so long that none of its steps is in the sums.
func (m members) question(now time.Time) {
	for key, w := range m {
		w.missed++
		if now.Sub(w.answered) > 2*history.Seconds*time.Second {
			delete(m, key)
		}
	}
}

// answer notes an answer. It returns nil if there are too many workers.
func (m members) answer(state peer.State, now time.Time) *member {
	key := state.Key()
	if m[key] == nil && len(m) >= maxMembers {
		return nil
	}
	w := m.named(key)
	w.told = state.History != nil
	state.History = nil
	w.state, w.answered, w.missed = state, now, 0
	return w
}

func (w *member) silent() bool { return w.missed >= missedMost }

// told is how many of those that answer tell what they did.
func (m members) told() (n int) {
	for _, w := range m {
		if w.told && !w.silent() {
			n++
		}
	}
	return n
}

// list is in the order of names, so that a worker keeps its place.
func (m members) list(own string, now time.Time) []Worker {
	list := make([]Worker, 0, len(m))
	for key, w := range m {
		if w.missed > 0 && now.Sub(w.answered) > hideAfter {
			continue
		}
		list = append(list, Worker{State: w.state, ID: key, Own: key == own, Answered: w.answered.UTC(), Silent: w.silent()})
	}
	slices.SortFunc(list, func(a, b Worker) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
	})
	return list
}

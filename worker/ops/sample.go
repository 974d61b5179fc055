package ops

import (
	"time"

	"revoker/events/admin"
	"revoker/worker"
)

// sample writes into the history what limits the calls and how long the lanes are, once a second until the server ends.
func (s *Server) sample(w *worker.Worker, q *queue) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		state := w.State()
		g := gauges{limit: &state.Limit, rate: state.Rate}
		// The queue is read every few seconds, and oftener while a page is open.
		newest := q.latest().status
		if open := s.console.fleet.last(); open != nil && open.Time.After(newest.Time) {
			newest = *open
		}
		g.backlog = backlogs(newest, time.Now())
		s.history.sample(g)
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// backlogs are the lanes' in a status that is not too old.
func backlogs(s admin.Status, now time.Time) (backlog [2]*int) {
	if now.Sub(s.Time) >= staleAfter {
		return backlog
	}
	for _, l := range s.Lanes {
		n := l.Backlog
		backlog[laneIndex(l.Lane)] = &n
	}
	return backlog
}

package ops

import (
	"time"

	"revoker/config"
	"revoker/events/admin"
	"revoker/worker"
	"revoker/worker/ops/history"
)

// sampleInterval is what the history counts in.
const sampleInterval = time.Second

// sample writes into the history what limits the calls and how long the lanes are, once a second until the server ends.
func (s *Server) sample(w *worker.Worker, q *queue) {
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for {
		state := w.State()
		g := history.Gauges{Limit: &state.Limit, Rate: state.Rate}
		// The queue is read every few seconds, and oftener while a page is open.
		newest := q.latest().status
		if open := s.console.Latest(); open != nil && open.Time.After(newest.Time) {
			newest = *open
		}
		g.Backlog = backlogs(newest, time.Now())
		s.history.Sample(g)
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// backlogs are the lanes' in a status that is not too old.
func backlogs(s admin.Status, now time.Time) map[config.Lane]int {
	backlog := map[config.Lane]int{}
	if now.Sub(s.Time) >= staleAfter {
		return backlog
	}
	for _, l := range s.Lanes {
		backlog[l.Lane] = l.Backlog
	}
	return backlog
}

package receive

import (
	"log/slog"
	"sync"
	"time"

	"revoker/events/receive/logouttoken"
)

// Reasons for which a request is refused, beside those of logouttoken.
const (
	reasonBearer logouttoken.Reason = "bearer_token"
	reasonBody   logouttoken.Reason = "body"
	reasonEvent  logouttoken.Reason = "event"
)

// refusedEvery is how often a reason is logged at most, so that a flood of forged signals does not fill a disk.
const refusedEvery = 10 * time.Second

// refusedLog logs what is refused: a first time at once, then a count.
type refusedLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[refusedKey]*refusedCount
}

type refusedKey struct {
	source string
	reason logouttoken.Reason
}

type refusedCount struct {
	logged time.Time
	since  int
}

func newRefusedLog(log *slog.Logger) *refusedLog {
	return &refusedLog{log: log, last: map[refusedKey]*refusedCount{}}
}

// note logs one refusal. Both words are of fixed sets, so nothing of the request can come into the log.
func (l *refusedLog) note(source string, reason logouttoken.Reason, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := refusedKey{source, reason}
	count := l.last[key]
	if count == nil {
		count = &refusedCount{}
		l.last[key] = count
	}
	count.since++
	if now.Sub(count.logged) < refusedEvery {
		return
	}
	l.log.Warn("refused a signal", "source", source, "reason", reason, "times", count.since)
	count.logged, count.since = now, 0
}

// refuse counts and logs.
func (s *Server) refuse(source string, reason logouttoken.Reason) {
	s.metrics.refuse(source, reason)
	s.refused.note(source, reason, time.Now())
}

package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"revoker/config"
	"revoker/events"
	"revoker/worker/authlete"
)

// Settlement tells how one delivery was settled.
type Settlement struct {
	Lane       config.Lane
	Source     string // of the event, empty where it names none
	Outcome    Outcome
	Session    events.SessionID // empty where the event has none
	Sequence   uint64           // in the event stream
	Deliveries int
	Action     authlete.Action // of the API's answer; it may be any text
	Status     int             // of the API's answer; 0 where there was none
	ResultCode string          // the API's
	Deleted    int             // token records, for Revoked
	Detail     string          // what went wrong, in words, with the session masked
	Delay      time.Duration
	Took       time.Duration // of the call; 0 where none was made
	Age        time.Duration // of the event when it was settled
	ToRevoked  time.Duration // for Revoked: from the session's end to the API's answer, see toRevoked
	Trace      trace.TraceID // zero where the delivery is not traced, or its trace not sampled
	// LetterFailed tells of a Retry that was to be a dead letter, which could not be published.
	LetterFailed bool
	// Receipt says what became of the receipt. ReceiptFailed tells of a Retry whose session is revoked, but whose receipt could
	// not be published.
	Receipt       Receipt
	ReceiptFailed bool
}

// Against reports whether the settlement counts against the objective, and whether it met it. Events of the bulk lane don't count:
// they wait for the live ones by design, often for hours. What is tried again counts when it is settled for good. A dead letter's
// session was not revoked, so that misses the objective.
func (s Settlement) Against(objective config.Objective) (counts, met bool) {
	switch {
	case s.Lane == config.Bulk:
		return false, false
	case s.Outcome == Revoked:
		return true, objective.Met(s.ToRevoked)
	}
	return s.Outcome.Reason() != "", false
}

// log writes a line at debug for each settlement, and at info for a dead letter. Failed attempts are gathered.
func (s Settlement) log(log *slog.Logger, failures *failureLog) {
	level := slog.LevelDebug
	if s.Outcome.Reason() != "" {
		level = slog.LevelInfo
	}
	if s.Outcome == Retry {
		failures.count(s.Detail)
	}
	if !log.Enabled(context.Background(), level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("outcome", string(s.Outcome)),
		slog.String("lane", string(s.Lane)),
		slog.Uint64("sequence", s.Sequence),
		slog.Int("deliveries", s.Deliveries),
	}
	if s.Session != "" {
		attributes = append(attributes, slog.Any("session", s.Session))
	}
	if s.Status != 0 {
		attributes = append(attributes, slog.Int("status", s.Status), slog.String("result_code", s.ResultCode), slog.Duration("took", s.Took))
	}
	if s.Outcome == Revoked {
		attributes = append(attributes, slog.Int("deleted", s.Deleted))
	}
	if s.Detail != "" {
		attributes = append(attributes, slog.String("detail", s.Detail))
	}
	if s.Delay > 0 {
		attributes = append(attributes, slog.Duration("again_in", s.Delay))
	}
	log.LogAttrs(context.Background(), level, "settled", attributes...)
}

const (
	// failureInterval is how often a failure that goes on is written again.
	failureInterval = 30 * time.Second
	// maxFailureKinds bounds the failures that are told apart.
	maxFailureKinds = 64
)

// failureLog writes a failure once, and while it goes on, how often it came since.
type failureLog struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*failureKind
}

type failureKind struct {
	written time.Time
	since   int // failures not written yet
}

func newFailureLog(log *slog.Logger) *failureLog {
	return &failureLog{log: log, kinds: map[string]*failureKind{}}
}

func (f *failureLog) count(detail string) {
	now := time.Now()
	f.mu.Lock()
	kind := f.kinds[detail]
	if kind == nil && len(f.kinds) >= maxFailureKinds {
		f.forget(now)
	}
	if kind == nil {
		kind = &failureKind{}
		f.kinds[detail] = kind
	}
	kind.since++
	due := now.Sub(kind.written) >= failureInterval
	times := kind.since
	if due {
		kind.written, kind.since = now, 0
	}
	f.mu.Unlock()
	if due {
		f.log.Warn("attempts failed; the events are retried", "detail", detail, "times", times)
	}
}

// forget makes room: it drops what has not come for an interval, or else all. The caller holds mu.
func (f *failureLog) forget(now time.Time) {
	for detail, kind := range f.kinds {
		if now.Sub(kind.written) >= failureInterval {
			delete(f.kinds, detail)
		}
	}
	if len(f.kinds) >= maxFailureKinds {
		clear(f.kinds)
	}
}

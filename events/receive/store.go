package receive

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"revoker/events"
)

// unstoredRetry is what Retry-After says if JetStream confirms nothing.
const unstoredRetry = 5 * time.Second

// store publishes signals.
type store struct {
	publisher *events.SignalPublisher
	log       *slog.Logger
	failing   atomic.Pointer[string] // why the last signal was not stored
}

// put publishes the signals. It returns once all are confirmed, or says why not.
func (s *store) put(ctx context.Context, signals ...events.Signal) (duplicates int, err error) {
	// A sender that hangs up must not cut the confirmation off: it would not be known whether its signal counts as stored.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	duplicates, err = s.publisher.Publish(ctx, signals...)
	if err == nil {
		if s.failing.Swap(nil) != nil {
			s.log.Info("signals are stored again")
		}
		return duplicates, nil
	}
	reason := err.Error()
	if errors.Is(err, events.ErrTooLarge) {
		return 0, err // nothing is wrong with the stream
	}
	if last := s.failing.Swap(&reason); last == nil || *last != reason {
		s.log.Error("signals can't be stored; their senders are told to try again", "error", err)
	}
	return 0, err
}

// why is the reason for which the last signal was not stored; empty if it was.
func (s *store) why() string {
	if reason := s.failing.Load(); reason != nil {
		return *reason
	}
	return ""
}

// unstored answers for signals that were not all confirmed.
func unstored(w http.ResponseWriter) { unavailable(w, unstoredRetry, "the event could not be stored") }

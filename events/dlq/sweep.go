package dlq

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"revoker/events/internal/conn"
)

const (
	sweepWindow = 64 // letters at a time
	sweepTries  = 3  // of one letter
	sweepPause  = 500 * time.Millisecond
	// A sweep that is stopped finishes what it has begun within this time.
	sweepGrace = 10 * time.Second
)

// Sweep does something to letters, many at a time, and reports each letter's outcome to settled, one call at a time. perSecond
// bounds the letters a second; 0 sets no limit. A letter that is refused or gone does not end the sweep. Any other error is tried
// again if it may pass, and then ends the sweep, as ctx does. Either way the letters in work are finished first.
//
// The first letter is done alone, so that what fails for all letters, a missing permission for example, fails for one only.
func Sweep(ctx context.Context, letters iter.Seq2[StoredLetter, error], perSecond float64,
	do func(context.Context, StoredLetter) error, settled func(StoredLetter, error)) error {
	s := &sweep{do: do, settled: settled, slots: make(chan struct{}, sweepWindow)}
	ctx, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	release := context.AfterFunc(ctx, func() { time.AfterFunc(sweepGrace, abandon) })
	defer release()

	limit := rate.NewLimiter(rate.Inf, 1)
	if perSecond > 0 {
		limit.SetLimit(rate.Limit(perSecond))
	}
	first := true
	for letter, err := range letters {
		if err != nil {
			s.stop(err)
			break
		}
		if limit.Wait(ctx) != nil || !s.begin(ctx, work, letter) {
			break
		}
		if first {
			s.running.Wait()
			first = false
		}
	}
	s.running.Wait()
	return context.Cause(ctx)
}

// sweep is one run of Sweep.
type sweep struct {
	do      func(context.Context, StoredLetter) error
	slots   chan struct{}
	running sync.WaitGroup
	stop    context.CancelCauseFunc

	mu      sync.Mutex // held while settled is called
	settled func(StoredLetter, error)
}

// begin starts with a letter as soon as a slot is free. It reports false if the sweep was stopped before.
func (s *sweep) begin(ctx, work context.Context, letter StoredLetter) bool {
	select {
	case <-ctx.Done():
		return false
	case s.slots <- struct{}{}:
	}
	if ctx.Err() != nil {
		<-s.slots
		return false
	}
	s.running.Go(func() {
		defer func() { <-s.slots }()
		err := s.persist(ctx, work, letter)
		var refused *RefusedError
		if err != nil && !errors.As(err, &refused) && !errors.Is(err, ErrNoLetter) {
			s.stop(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.settled(letter, err)
	})
	return true
}

// persist tries again if the error may pass, unless the sweep was stopped.
func (s *sweep) persist(ctx, work context.Context, letter StoredLetter) error {
	for try := 1; ; try++ {
		err := s.do(work, letter)
		if err == nil || try == sweepTries || !conn.Transient(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(sweepPause):
		}
	}
}

package events

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	sweepWindow = 64 // letters at a time
	sweepTries  = 3  // of one letter
	sweepPause  = 500 * time.Millisecond
	// What was begun when a sweep is stopped gets so long to finish.
	sweepGrace = 10 * time.Second
)

// Sweep does something to letters, many at a time, and tells each letter's outcome to settled, one call at a time. rate
// bounds the letters a second; 0 sets no limit. Letters that are refused or gone do not end it, any other error does: it
// is tried again if it may pass, and then returned, as is ctx's. Either way the letters in work are finished first.
//
// The first letter is done alone: what fails for all of them, a missing permission for example, then fails for one.
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

// persist tries again what may pass, unless the sweep was stopped.
func (s *sweep) persist(ctx, work context.Context, letter StoredLetter) error {
	for try := 1; ; try++ {
		err := s.do(work, letter)
		if err == nil || try == sweepTries || !transient(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(sweepPause):
		}
	}
}

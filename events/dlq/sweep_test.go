package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/events/dlq"
	"revoker/events/internal/eventstest"
)

// numbered is letters 1 to n, and then an error if there is one.
func numbered(n int, end error) iter.Seq2[dlq.StoredLetter, error] {
	return func(yield func(dlq.StoredLetter, error) bool) {
		for i := range n {
			if !yield(dlq.StoredLetter{Sequence: uint64(i + 1)}, nil) {
				return
			}
		}
		if end != nil {
			yield(dlq.StoredLetter{}, end)
		}
	}
}

func TestASweepDoesTheFirstAloneAndTheRestTogether(t *testing.T) {
	t.Parallel()
	var running, outcomes atomic.Int64
	var once sync.Once
	full := make(chan struct{})
	err := dlq.Sweep(eventstest.Deadline(t), numbered(500, nil), 0, func(_ context.Context, l dlq.StoredLetter) error {
		now := running.Add(1)
		defer running.Add(-1)
		if l.Sequence > 1 {
			if now == 64 {
				once.Do(func() { close(full) })
			}
			if now > 64 {
				t.Errorf("%d letters at a time", now)
			}
			<-full // all slots are taken before any is done
			return nil
		}
		if now != 1 {
			t.Error("the first letter is not alone")
		}
		return nil
	}, func(dlq.StoredLetter, error) { outcomes.Add(1) })
	if err != nil || outcomes.Load() != 500 || running.Load() != 0 {
		t.Errorf("%v, %d outcomes, %d running", err, outcomes.Load(), running.Load())
	}
}

func TestWhatEndsASweep(t *testing.T) {
	t.Parallel()
	fatal := errors.New("no permission")
	for _, c := range []struct {
		what     string
		letters  iter.Seq2[dlq.StoredLetter, error]
		err      error // of the first letter
		ends     error
		outcomes int64
		tries    int64 // of the first
	}{
		{"nothing", numbered(100, nil), nil, nil, 100, 1},
		{"no letter", numbered(0, nil), nil, nil, 0, 0},
		{"a refused letter does not", numbered(100, nil), &dlq.RefusedError{Reason: "x"}, nil, 100, 1},
		{"a letter that is gone does not", numbered(100, nil), fmt.Errorf("%w: 1", dlq.ErrNoLetter), nil, 100, 1},
		{"an error", numbered(100, nil), fatal, fatal, 1, 1},
		{"an error that does not pass", numbered(100, nil), nats.ErrTimeout, nats.ErrTimeout, 1, 3},
		{"letters that can't be read", numbered(7, fatal), nil, fatal, 7, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			var outcomes, tries atomic.Int64
			err := dlq.Sweep(eventstest.Deadline(t), c.letters, 0, func(_ context.Context, l dlq.StoredLetter) error {
				if l.Sequence > 1 {
					return nil
				}
				tries.Add(1)
				return c.err
			}, func(dlq.StoredLetter, error) { outcomes.Add(1) })
			if !errors.Is(err, c.ends) || outcomes.Load() != c.outcomes || tries.Load() != c.tries {
				t.Errorf("%v, %d outcomes, %d tries", err, outcomes.Load(), tries.Load())
			}
		})
	}
}

func TestAStoppedSweepFinishesWhatItBegan(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	// Closed when stop has returned: only then is the context that Sweep derives from ctx cancelled, too.
	stopped := make(chan struct{})
	var begun, ended atomic.Int64
	err := dlq.Sweep(ctx, numbered(1000, nil), 0, func(work context.Context, l dlq.StoredLetter) error {
		begun.Add(1)
		if l.Sequence == 20 {
			stop()
			close(stopped)
		}
		if l.Sequence >= 20 {
			<-stopped
		}
		return work.Err()
	}, func(_ dlq.StoredLetter, err error) {
		if err != nil {
			t.Errorf("a letter in work was cut off: %v", err)
		}
		ended.Add(1)
	})
	if !errors.Is(err, context.Canceled) || begun.Load() != ended.Load() || begun.Load() < 20 || begun.Load() > 20+63 {
		t.Errorf("%v, %d begun, %d ended", err, begun.Load(), ended.Load())
	}
}

func TestASweepKeepsItsRate(t *testing.T) {
	t.Parallel()
	began := time.Now()
	if err := dlq.Sweep(eventstest.Deadline(t), numbered(11, nil), 50, func(context.Context, dlq.StoredLetter) error { return nil },
		func(dlq.StoredLetter, error) {}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 190*time.Millisecond { // never less, however busy the machine
		t.Errorf("11 letters at 50 a second took %s", took)
	}
}

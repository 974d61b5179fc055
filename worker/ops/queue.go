package ops

import (
	"context"
	"sync"
	"time"

	"revoker/events/admin"
)

const (
	// pollInterval is how often the queue is read when nobody asks.
	pollInterval = 10 * time.Second
	pollTimeout  = 5 * time.Second
	// askInterval is the shortest time between two readings, however many ask.
	askInterval = time.Second
	// askWait is how long a caller of ask waits for a new reading. Kubernetes gives a probe one second.
	askWait = 600 * time.Millisecond
	// staleAfter is the age from which a reading is not used any more.
	staleAfter = 3 * pollInterval
)

// reading is the state of the queue: of its stream, consumer and dead letters.
type reading struct {
	// status is the last successful reading, taken at status.Time. It is the zero Status before the first.
	status admin.Status
	// tried is the time of the last attempt, and err its failure.
	tried time.Time
	err   error
}

// known reports whether the status is recent enough to use.
func (r reading) known(now time.Time) bool { return now.Sub(r.status.Time) < staleAfter }

// queue reads the queue's state on its own goroutine, so that no scrape and no probe hangs on NATS.
type queue struct {
	read  func(context.Context) (admin.Status, error)
	asked chan struct{} // requests a new reading; holds one signal

	mu   sync.Mutex
	last reading
	next chan struct{} // closed by the next reading
}

func newQueue(read func(context.Context) (admin.Status, error)) *queue {
	return &queue{read: read, asked: make(chan struct{}, 1), next: make(chan struct{})}
}

// run reads until ctx is done.
func (q *queue) run(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		q.poll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-q.asked:
		case <-ticker.C:
		}
	}
}

func (q *queue) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	status, err := q.read(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		q.last.status = status
	}
	q.last.tried, q.last.err = time.Now(), err
	close(q.next)
	q.next = make(chan struct{})
}

// latest returns the last reading without waiting.
func (q *queue) latest() reading {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last
}

// ask returns a reading that is at most askInterval old. If a new one takes longer than askWait, it returns the last one.
func (q *queue) ask(ctx context.Context) reading {
	q.mu.Lock()
	last, next := q.last, q.next
	q.mu.Unlock()
	if time.Since(last.tried) < askInterval {
		return last
	}
	select {
	case q.asked <- struct{}{}:
	default:
	}
	timer := time.NewTimer(askWait)
	defer timer.Stop()
	select {
	case <-next:
	case <-timer.C:
	case <-ctx.Done():
	}
	return q.latest()
}

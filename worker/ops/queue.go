package ops

import (
	"context"
	"sync"
	"time"

	"revoker/events/admin"
)

const (
	// pollInterval is how often the queue is looked at when nobody asks.
	pollInterval = 10 * time.Second
	pollTimeout  = 5 * time.Second
	// askInterval is how often it is looked at however many ask.
	askInterval = time.Second
	// askPatience is how long one who asks waits for an answer; Kubernetes gives a probe one second.
	askPatience = 600 * time.Millisecond
	// staleAfter is how old a reading may be and still be shown.
	staleAfter = 3 * pollInterval
)

// reading is what is known of the queue: stream, consumer and dead letters.
type reading struct {
	// status is the last one that could be read, at status.Time; the zero Status if there was none.
	status admin.Status
	// tried is when it was last tried to read it, and err why it failed then.
	tried time.Time
	err   error
}

// known reports whether the status is recent enough to go by.
func (r reading) known(now time.Time) bool { return now.Sub(r.status.Time) < staleAfter }

// queue watches the queue on a goroutine of its own, so that neither a scrape nor a probe ever waits for NATS without end.
type queue struct {
	read  func(context.Context) (admin.Status, error)
	asked chan struct{} // somebody wants a new reading; holds one signal

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

// latest returns the last reading, at once.
func (q *queue) latest() reading {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last
}

// ask returns a reading that is no older than askInterval, or else the last one, if a new one takes longer than
// askPatience.
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
	patience := time.NewTimer(askPatience)
	defer patience.Stop()
	select {
	case <-next:
	case <-patience.C:
	case <-ctx.Done():
	}
	return q.latest()
}

// Package fleet knows the workers of a consumer together: those that answer, those that lately did, and what they did in the last 15
// minutes. It asks them over NATS.
package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/events/peer"
	"revoker/worker/ops/history"
)

const (
	// interval is the shortest time between two readings, however many pages are open. Each worker answers with some three kilobytes:
	// 516 B of state, and 0.7 KB for each step at 500 calls a second. Asked for all 15 minutes, a busy worker answers with some 130 KB.
	interval = 2 * time.Second
	// refusalPause is the shortest time to the next question after one that the account may not ask.
	refusalPause = time.Minute
	// freshFor is how long answers are good enough for a page that opens.
	freshFor = 10 * time.Second
	// overlap is how far back workers are asked for beyond the last question: an answer may be lost.
	overlap = 20 * time.Second
	// fullPause is the shortest time between two questions for all 15 minutes.
	fullPause = 10 * time.Second
)

// Fleet reads the state of JetStream and of the workers for all pages of this process, and only while somebody looks. It is safe for
// concurrent use.
type Fleet struct {
	ctx     context.Context // ends with the server
	cfg     config.Config
	self    peer.Identity
	past    *history.History // of this worker
	now     func() time.Time
	running sync.WaitGroup

	mu      sync.Mutex
	reader  *admin.StatusReader
	asking  bool
	asked   time.Time     // when the last reading ended
	heard   time.Time     // when the workers last had time to answer
	next    chan struct{} // closed when they have it again
	trend   admin.History
	status  *admin.Status
	rates   *admin.Rates
	err     error
	members members
	sums    sums
	ask     questions
}

// questions is what is known of asking the workers.
type questions struct {
	last     time.Time
	full     time.Time // the last one for all 15 minutes
	gaps     bool      // a worker knows more than it was asked for
	refused  time.Time
	problem  string // why the others are not known
	silences int    // questions in a row that nobody answered, not even this worker
}

// New returns a Fleet for a worker with its own history. Its readings end with ctx.
func New(ctx context.Context, cfg config.Config, self peer.Identity, past *history.History) *Fleet {
	return &Fleet{ctx: ctx, cfg: cfg, self: self, past: past, now: time.Now, next: make(chan struct{}), members: members{}}
}

// View is what is known at one time.
type View struct {
	// Status is that of the last reading, without its workers, and Rates compares it with earlier ones. They are nil before the first.
	Status *admin.Status
	Rates  *admin.Rates
	// Err is why the last reading failed.
	Err error
	// Workers are in the order of their names.
	Workers []Worker
	// Problem says why the other workers are not known; empty if they are.
	Problem string
	// Times are the times to revoked of all workers that told what they did, and Told is how many of those that answer did.
	Times Times
	Told  int
}

// View returns what is known. If that is old, it starts another reading in the background. own is this worker's state, nil before the
// worker is set up.
func (f *Fleet) View(conn *events.Conn, own *peer.State) View {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if own != nil {
		f.members.own(f.self.Sign(*own), now)
		f.sums.take(f.members[f.self.Instance], f.past.Last(f.sinceOwn(now)), true, now)
	}
	if conn != nil && !f.asking && now.Sub(f.asked) >= interval {
		if f.reader == nil {
			f.reader = admin.NewStatusReader(conn, f.cfg)
		}
		f.asking = true
		f.running.Go(func() { f.read(conn) })
	}
	view := View{Rates: f.rates, Err: f.err, Workers: f.members.list(f.self.Instance, now), Problem: f.ask.problem, Told: f.members.told()}
	view.Times = f.sums.times(now)
	if f.status != nil {
		status := *f.status
		status.Workers = nil
		view.Status = &status
	}
	return view
}

// sinceOwn is for how many seconds this worker's own steps are needed.
func (f *Fleet) sinceOwn(now time.Time) int {
	return int(min(now.Unix()-f.members[f.self.Instance].through, history.Seconds))
}

// Await waits until the workers had time to answer, unless they lately had, for at most as long as wait. View must have been called.
func (f *Fleet) Await(ctx context.Context, wait time.Duration) {
	f.mu.Lock()
	next, fresh := f.next, f.now().Sub(f.heard) < freshFor
	f.mu.Unlock()
	if fresh {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-next:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Points returns the points of the plots that changed since the caller was told version seen, oldest first, and the present version.
func (f *Fleet) Points(seen int) (points []Point, version int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sums.points(seen, f.members.told() > 1, f.now())
}

// Last returns the last reading, nil before the first.
func (f *Fleet) Last() *admin.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Close waits for the readings. End the context of New first.
func (f *Fleet) Close() { f.running.Wait() }

func (f *Fleet) read(conn *events.Conn) {
	status, err := f.reader.ReadWith(f.ctx, func(ctx context.Context) ([]peer.State, error) { return f.question(ctx, conn) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking, f.asked, f.err = false, f.now(), err
	if err == nil {
		f.trend.Add(status)
		rates := f.trend.Rates()
		f.status, f.rates = &status, &rates
	}
}

// question asks the workers, unless the account may not.
func (f *Fleet) question(ctx context.Context, conn *events.Conn) ([]peer.State, error) {
	f.mu.Lock()
	seconds, may := f.ask.next(f.now())
	f.mu.Unlock()
	var workers []peer.State
	if may {
		var err error
		workers, err = admin.WorkersWithHistory(ctx, conn, f.cfg, seconds)
		f.take(workers, seconds == history.Seconds, err)
	}
	f.hear()
	for i := range workers {
		workers[i].History = nil // it is in the sums
	}
	return workers, nil // View says why the others are not known
}

// hear lets those go on who await the workers.
func (f *Fleet) hear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = f.now()
	close(f.next)
	f.next = make(chan struct{})
}

// next is for how many seconds to ask, and whether the account may ask at all.
func (q *questions) next(now time.Time) (seconds int, may bool) {
	if now.Sub(q.refused) < refusalPause {
		return 0, false
	}
	all := history.Seconds * time.Second
	span := min(now.Sub(q.last), all) + overlap // the zero time is longer ago than a Duration can say
	if span > all || q.gaps && now.Sub(q.full) >= fullPause {
		span, q.full, q.gaps = all, now, false
	}
	q.last = now
	return int(span.Seconds()), true
}

// take takes the answers to one question.
func (f *Fleet) take(workers []peer.State, all bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if err != nil {
		if f.ask.problem = err.Error(); errors.Is(err, events.ErrDenied) {
			f.ask.refused = now
		}
		return
	}
	f.members.question(now)
	for _, w := range workers {
		if w.Instance == f.self.Instance {
			continue // View knows it better
		}
		m := f.members.answer(w, now)
		if m != nil && w.History != nil && !f.sums.take(m, w.History, all, now) {
			f.ask.gaps = true
		}
	}
	if self := f.members[f.self.Instance]; self != nil {
		self.missed = 0
		f.ask.answered(len(workers) > 0, peer.Subject(f.cfg))
	}
}

// silencesMost is after how many questions without any answer the account is thought to get none.
const silencesMost = 3

// answered notes whether any worker answered. This worker is one of them, so silence means that a permission is missing.
func (q *questions) answered(any bool, subject string) {
	if q.silences++; any {
		q.silences, q.problem = 0, ""
	}
	if q.silences >= silencesMost {
		q.problem = "no worker answers on " + subject + ", not even this one: its account may not subscribe there, or not publish to its inbox"
	}
}

package ops

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"revoker/worker"
	"revoker/worker/authlete"
)

const (
	// preflightTimeout bounds one call, and with it how long readiness waits for an API that is away.
	preflightTimeout = 5 * time.Second
	// The pause between two calls doubles from one to the other.
	minPreflightPause = time.Second
	maxPreflightPause = 30 * time.Second
)

// preflight finds out whether the API accepts the token, before any event does. Without it, a rolling update in a quiet hour
// would replace every good worker by one with a wrong token. It calls the API again while the answer is bad or none. It ends with
// a good answer, or once the call of an event said more.
type preflight struct {
	log  *slog.Logger
	over atomic.Bool   // nothing is left to find out
	heed atomic.Bool   // it has begun, and the calls of events count
	end  chan struct{} // closed when the call of an event said more

	mu  sync.Mutex
	now acceptance
}

// acceptance is what is known of the token. The zero value says that the API accepts it, or that nobody asked.
type acceptance struct {
	pending bool   // the first call is not over
	refused string // why the API refuses the token or the service, and which variables to look at
	unclear string // why the answer does not tell
}

// begin comes before run. With heed the calls of events count. They must not if events may name other services: what the API says
// of those tells nothing of the configured one.
func (p *preflight) begin(heed bool) {
	p.mu.Lock()
	p.now, p.end = acceptance{pending: true}, make(chan struct{})
	p.mu.Unlock()
	p.heed.Store(heed)
}

func (p *preflight) run(ctx context.Context, try func(context.Context) worker.Preflight) {
	pause := minPreflightPause
	for ctx.Err() == nil && !p.over.Load() {
		callCtx, cancel := context.WithTimeout(ctx, preflightTimeout)
		tried := try(callCtx)
		cancel()
		if ctx.Err() != nil || p.take(tried) {
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-p.end:
		case <-timer.C:
		}
		timer.Stop()
		pause = min(2*pause, maxPreflightPause)
	}
}

// take notes an answer. It reports whether nothing is left to find out.
func (p *preflight) take(tried worker.Preflight) (over bool) {
	next := acceptance{}
	switch {
	case tried.Accepted():
	case tried.Outcome == worker.Misconfigured:
		next.refused = fmt.Sprintf("%s: look at %s", tried.Detail, tried.Suspect)
	default:
		next.unclear = tried.Detail
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over.Load() {
		return true
	}
	last := p.now
	p.now = next
	switch {
	case next.refused != "" && next != last:
		p.log.Warn("the logout API refuses this worker: it is not ready", "reason", next.refused)
	case next.unclear != "" && next != last:
		p.log.Info("the logout API has not said whether it accepts the token", "reason", next.unclear)
	case next == acceptance{}:
		if last.refused != "" {
			p.log.Info("the logout API accepts the token and the service now")
		}
		p.over.Store(true)
	}
	return p.over.Load()
}

// observe ends it with the first call of an event that tells of the token and the service. From then on the circuit breaker says
// what is wrong with them.
func (p *preflight) observe(s worker.Settlement) {
	if p.over.Load() || !p.heed.Load() {
		return
	}
	switch s.Action {
	case authlete.ActionOK, authlete.ActionServerError, authlete.ActionCallerError:
	default:
		if s.Outcome != worker.Misconfigured {
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over.CompareAndSwap(false, true) {
		p.now = acceptance{}
		close(p.end)
	}
}

func (p *preflight) acceptance() acceptance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

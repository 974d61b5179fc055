package admission

import (
	"context"
	"sync"

	"golang.org/x/time/rate"
)

// tokens is the rate limit. A token is taken before the pull and kept where no event came, so that no delivery ever waits
// for one. Over any time t there are at most limit × t + 2 × burst calls.
type tokens struct {
	limiter *rate.Limiter // nil for no limit
	burst   int

	mu   sync.Mutex
	held int // taken and not used, at most burst
}

// burstShare is the part of a second whose tokens may be used at once.
const burstShare = 10

func newTokens(limit float64, slots int) *tokens {
	if limit == 0 {
		return &tokens{}
	}
	burst := max(1, min(int(limit/burstShare), slots))
	return &tokens{limiter: rate.NewLimiter(rate.Limit(limit), burst), burst: burst}
}

// take waits for one token, and takes up to n of those that are there. It returns none once ctx is done.
func (t *tokens) take(ctx context.Context, n int) int {
	if t.limiter == nil {
		return n
	}
	t.mu.Lock()
	got := min(t.held, n)
	t.held -= got
	t.mu.Unlock()
	if got == 0 {
		if t.limiter.Wait(ctx) != nil {
			return 0
		}
		got = 1
	}
	for got < min(n, t.burst) && t.limiter.Allow() {
		got++
	}
	return got
}

func (t *tokens) giveBack(n int) {
	if t.limiter == nil {
		return
	}
	t.mu.Lock()
	t.held = min(t.held+n, t.burst)
	t.mu.Unlock()
}

package sim

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// Capacity is what the API can bear. The zero value bears everything.
type Capacity struct {
	// PerSecond is how many calls a second are allowed; the others get 429 with Retry-After: 1. A tenth of them may come at a time.
	PerSecond float64
	// Stated tells whether answers state it, in the RateLimit-Policy field.
	Stated bool
	// Servers is how many calls are served at a time; the others queue.
	Servers int
}

// capacity enforces it.
type capacity struct {
	mu      sync.Mutex
	policy  string
	limiter *rate.Limiter       // nil for no limit
	servers *semaphore.Weighted // nil for no limit
}

// SetCapacity changes what the API can bear from now on.
func (s *Server) SetCapacity(c Capacity) {
	s.capacity.mu.Lock()
	defer s.capacity.mu.Unlock()
	s.capacity.limiter, s.capacity.servers, s.capacity.policy = nil, nil, ""
	if c.PerSecond > 0 {
		s.capacity.limiter = rate.NewLimiter(rate.Limit(c.PerSecond), max(1, int(c.PerSecond/10)))
	}
	if c.Stated {
		s.capacity.policy = fmt.Sprintf(`"default";q=%d;w=10`, int(10*c.PerSecond))
	}
	if c.Servers > 0 {
		s.capacity.servers = semaphore.NewWeighted(int64(c.Servers))
	}
}

// allows reports whether the rate allows one more call, and states the policy.
func (c *capacity) allows(header http.Header) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.policy != "" {
		header.Set("RateLimit-Policy", c.policy)
	}
	return c.limiter == nil || c.limiter.Allow()
}

// serve waits for a server. leave gives it back; it is nil if the client went away first.
func (c *capacity) serve(ctx context.Context) (leave func()) {
	c.mu.Lock()
	servers := c.servers
	c.mu.Unlock()
	if servers == nil {
		return func() {}
	}
	if servers.Acquire(ctx, 1) != nil {
		return nil
	}
	return func() { servers.Release(1) }
}

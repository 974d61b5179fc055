package admission

import "time"

// Outage tells since when the circuit breaker has not been closed, and when it lets the next probe through. Both are nil while it
// is closed, and while it only waits for an opinion. next is nil too while a probe is out.
func (a *Admission) Outage() (since, next *time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.breaker
	if b.state == Closed || !b.opened {
		return nil, nil
	}
	began := b.since
	if b.state == Open {
		until := b.until
		next = &until
	}
	return &began, next
}

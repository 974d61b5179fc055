package admission

import (
	"time"

	"revoker/worker/retry"
)

// Hold keeps the events back that name this service: the API refuses it, or asks for time.
func (a *Admission) Hold(service, reason string, wait time.Duration) {
	a.mu.Lock()
	warn := a.holds.hold(time.Now(), service, reason, wait)
	a.mu.Unlock()
	if warn {
		a.log.Warn("the events of a service are held back", "service", service, "reason", reason)
	}
}

// Unhold ends a hold.
func (a *Admission) Unhold(service string) {
	a.mu.Lock()
	was := a.holds.unhold(service)
	a.mu.Unlock()
	if was {
		a.log.Info("the events of a service are no longer held back", "service", service)
	}
}

// HoldOf is how long until the next probe of a service that is held back.
func (a *Admission) HoldOf(service string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.holds.services[service]; held != nil {
		return time.Until(held.until)
	}
	return 0
}

// Held lists the services whose events are held back.
func (a *Admission) Held() []Hold {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holds.list()
}

// EnterAside is [Admission.Enter] for a call that no delivery asked for. While the breaker is not closed it never passes.
func (a *Admission) EnterAside(service string) (generation uint64, pause time.Duration) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.holds.services[service]; held != nil {
		return 0, max(held.until.Sub(now), retry.MinDelay)
	}
	if pause = a.breaker.Pause(now); pause == 0 {
		a.calling++
	}
	return a.breaker.generation, pause
}

// Holding reports whether a service is held back.
func (a *Admission) Holding(service string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holds.services[service] != nil
}

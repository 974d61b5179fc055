package admission

import (
	"cmp"
	"slices"
	"time"
)

// Hold says that the events of one service are held back, and why.
type Hold struct {
	Service string
	Reason  string
	Since   time.Time
}

// holdReminder is how often the log names a service again that goes on being held.
const holdReminder = time.Minute

// hold keeps the events of one service back that the events themselves named.
type hold struct {
	reason string
	since  time.Time
	said   time.Time     // when the log named it last
	until  time.Time     // of the next probe
	next   time.Duration // after that probe
}

// holds are the services that are held back. Only those that an event named are: if the configured one is refused, nothing
// can work, and the circuit breaker opens. Like the breaker it is pure; its owner has lock and clock.
type holds struct {
	first    time.Duration // until the first probe
	maximum  time.Duration // between two probes
	services map[string]*hold
}

// enter lets an event's call pass, as the probe where its service is held and one is due. Otherwise it returns how long the
// event must wait.
func (h *holds) enter(now time.Time, service string) (wait time.Duration) {
	held := h.services[service]
	if held == nil {
		return 0
	}
	if wait := held.until.Sub(now); wait > 0 {
		return wait
	}
	held.next = min(2*held.next, h.maximum)
	held.until = now.Add(held.next)
	return 0
}

// hold begins or prolongs a hold. It reports whether the log should say so.
func (h *holds) hold(now time.Time, service, reason string, wait time.Duration) (say bool) {
	held := h.services[service]
	if held == nil {
		held = &hold{since: now, next: h.first, until: now.Add(h.first)}
		h.services[service] = held
	}
	held.reason = reason
	if until := now.Add(Spread(wait)); until.After(held.until) {
		held.until = until
	}
	if say = now.Sub(held.said) >= holdReminder; say {
		held.said = now
	}
	return say
}

// unhold ends a hold; it reports whether there was one.
func (h *holds) unhold(service string) bool {
	was := h.services[service] != nil
	delete(h.services, service)
	return was
}

func (h *holds) list() []Hold {
	list := make([]Hold, 0, len(h.services))
	for service, held := range h.services {
		list = append(list, Hold{service, held.reason, held.since})
	}
	slices.SortFunc(list, func(a, b Hold) int { return cmp.Compare(a.Service, b.Service) })
	return list
}

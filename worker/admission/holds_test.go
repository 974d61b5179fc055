package admission

import (
	"testing"
	"time"
)

func TestAHeldServiceIsProbedByOneEventAtATime(t *testing.T) {
	t.Parallel()
	h := holds{first: time.Second, maximum: 2 * time.Second, services: map[string]*hold{}}
	now := time.Unix(1_700_000_000, 0)
	if h.enter(now, "77") != 0 {
		t.Error("held without a reason")
	}
	if !h.hold(now, "77", "HTTP 403", 0) || h.hold(now, "77", "HTTP 403", 0) {
		t.Error("the log must say it once")
	}
	if h.enter(now, "78") != 0 {
		t.Error("another service is held")
	}
	for _, interval := range []time.Duration{time.Second, 2 * time.Second, 2 * time.Second} {
		if wait := h.enter(now, "77"); wait != interval {
			t.Errorf("held for %s, want %s", wait, interval)
		}
		if now = now.Add(interval); h.enter(now, "77") != 0 {
			t.Error("no probe is let through")
		}
		if h.enter(now, "77") == 0 {
			t.Error("two probes at a time")
		}
		h.hold(now, "77", "HTTP 403", 0)
	}
	if now = now.Add(holdReminder); !h.hold(now, "77", "HTTP 403", 0) {
		t.Error("the log must say it again after a while")
	}
	if list := h.list(); len(list) != 1 || list[0].Service != "77" || list[0].Reason != "HTTP 403" {
		t.Errorf("%v", list)
	}
	if !h.unhold("77") || h.unhold("77") || h.enter(now, "77") != 0 {
		t.Error("it is still held")
	}
	if h.hold(now, "77", "HTTP 429", 30*time.Second); h.enter(now.Add(30*time.Second-1), "77") == 0 {
		t.Error("the Retry-After of a service is not kept")
	}
}

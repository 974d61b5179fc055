package worker

import (
	"testing"
	"time"
)

func TestExhausted(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for _, c := range []struct {
		deliveries, charged int
		age                 time.Duration
		want                bool
	}{
		{20, 20, 6 * hour, true},
		{19, 19, 6 * hour, false},    // attempts are left
		{20, 20, 6*hour - 1, false},  // it is too young
		{1000, 19, 6 * hour, false},  // the others say nothing about this session
		{1000, 1, 100 * hour, false}, // nor after a long outage
		{1000, 10, 12 * hour, true},  // other workers had half of the attempts
		{1000, 9, 12 * hour, false},
		{1000, 3, 100 * hour, true},
		{1000, 2, 1000 * hour, false},
	} {
		if got := exhausted(c.deliveries, c.charged, 20, c.age, 6*hour); got != c.want {
			t.Errorf("%d deliveries, %d charged, age %s: %v", c.deliveries, c.charged, c.age, got)
		}
	}
	for _, c := range []struct {
		age  time.Duration
		want int
	}{{0, 20}, {hour, 20}, {2 * hour, 10}, {10 * hour, 3}} {
		if got := needed(20, c.age, 0); got != c.want {
			t.Errorf("no maximum age, age %s: %d answered failures are needed, want %d", c.age, got, c.want)
		}
	}
	if got := needed(1, 6*hour, 6*hour); got != 1 {
		t.Errorf("one attempt allowed: %d answered failures are needed", got)
	}
}

func TestChargesAreCountedForEachEventAndBounded(t *testing.T) {
	t.Parallel()
	var c charges
	old, anew := eventKey{7, 1}, eventKey{7, 2} // the stream was created anew between
	for want := 1; want <= 3; want++ {
		if got := c.charge(old); got != want {
			t.Errorf("charged %d, want %d", got, want)
		}
	}
	if got := c.charge(anew); got != 1 {
		t.Errorf("another event with that sequence is charged %d", got)
	}
	c.forget(old)
	if got := c.charge(old); got != 1 {
		t.Errorf("charged %d after it was forgotten", got)
	}
	for i := range uint64(2 * maxCharged) {
		c.charge(eventKey{i, 3})
	}
	if len(c.counts) > maxCharged {
		t.Errorf("%d events are counted", len(c.counts))
	}
}

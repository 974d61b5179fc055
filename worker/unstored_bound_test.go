package worker

import (
	"testing"
	"time"
)

// What is kept is bounded. An event stays counted while it is tried, and until it is released; then another has its place.
func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	var u unstored
	tried := make(chan *attempt, maxUnstored)
	keep := func(a *attempt, delay time.Duration) bool { return u.keep(a, delay, func() { tried <- a }) }
	first := &attempt{}
	if !keep(first, 0) {
		t.Fatal("the first one is not kept")
	}
	if got := <-tried; got != first {
		t.Fatal("another one was tried")
	}
	for range maxUnstored - 1 {
		if !keep(&attempt{}, time.Hour) {
			t.Fatal("fewer are kept than the bound")
		}
	}
	another := &attempt{}
	if keep(another, time.Hour) {
		t.Error("more are kept than the bound")
	}
	if !keep(first, time.Hour) {
		t.Error("one that is kept already is refused another try")
	}
	u.release(first)
	if !keep(another, time.Hour) {
		t.Error("a place that was released is not given")
	}
	u.end()
	last := map[*attempt]bool{}
	for range maxUnstored {
		last[<-tried] = true
	}
	if len(last) != maxUnstored || last[first] || !last[another] {
		t.Errorf("the end tries %d, the released one %v", len(last), last[first])
	}
	if keep(first, time.Hour) {
		t.Error("one is kept after the end")
	}
}

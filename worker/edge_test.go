package worker_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"revoker/worker/authlete/sim"
)

// A session that failed by itself meets the begin of an outage with its last attempt. Another one was revoked just before, and that its
// call ended later than the failing one began proves nothing. The session is not condemned, and is revoked after the outage.
func TestTheBeginOfAnOutageCondemnsNobody(t *testing.T) {
	t.Parallel()
	var outage atomic.Bool
	last, slowDone := make(chan bool), make(chan bool)
	b := newBench(t, sim.Options{Rule: func(id string, attempt int) sim.Answer {
		switch {
		case id == "slow" && !outage.Load():
			<-last
			return sim.Answer{}
		case id == "unlucky" && attempt == 3:
			close(last)
			<-slowDone
			outage.Store(true)
			return sim.Answer{Kind: sim.ServerError}
		case id == "unlucky" && attempt < 3 || outage.Load():
			return sim.Answer{Kind: sim.ServerError}
		}
		return sim.Answer{}
	}})
	b.cfg.RetryMaxAttempts, b.cfg.RetryMaxAge = 3, 0
	b.start()
	b.publishSession("healthy", "slow", "unlucky")
	b.waitFor("the slow one", func() bool { return len(b.outcomes("slow")) == 1 })
	close(slowDone)
	b.waitFor("another attempt in the outage", func() bool { return len(b.outcomes("unlucky")) > 3 || len(b.letters()) > 0 })
	outage.Store(false)
	b.waitDone()
	if n := len(b.letters()); n != 0 || !b.revoked("unlucky") {
		t.Errorf("%d dead letters; revoked %v", n, b.revoked("unlucky"))
	}
}

// A session that failed by itself is the last one to meet an outage, with its last attempt. It is asked about again before it is
// condemned, and is revoked: at once, or after it failed some more by itself, since the outage's failure was none of its own.
func TestTheEndOfAnOutageCondemnsNobody(t *testing.T) {
	t.Parallel()
	for _, failures := range []int{3, 4, 5} { // the third one as all others would
		t.Run(fmt.Sprint(failures), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sim.Options{Rule: func(id string, attempt int) sim.Answer {
				if id == "unlucky" && attempt <= failures {
					return sim.Answer{Kind: sim.ServerError}
				}
				return sim.Answer{}
			}})
			b.cfg.RetryMaxAttempts, b.cfg.RetryMaxAge = 3, 0
			b.start()
			b.publishSession("unlucky", "healthy")
			b.waitDone()
			if n := len(b.letters()); n != 0 || !b.revoked("unlucky") {
				t.Errorf("%d dead letters; revoked %v", n, b.revoked("unlucky"))
			}
			if n := len(b.api.Session("unlucky").Calls); n != failures+1 {
				t.Errorf("%d calls, want %d", n, failures+1)
			}
		})
	}
}

package ops

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"revoker/events/admin"
)

// A server that does not answer holds up neither a scrape nor, for long, a probe.
func TestNobodyWaitsForASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(func(ctx context.Context) (admin.Status, error) {
			<-ctx.Done()
			return admin.Status{}, errors.New("no answer")
		})
		ctx, cancel := context.WithCancel(t.Context())
		go q.run(ctx)
		began := time.Now()
		if r := q.latest(); r.err != nil || time.Since(began) != 0 {
			t.Errorf("%+v after %s", r, time.Since(began))
		}
		if q.ask(ctx); time.Since(began) != askWait {
			t.Errorf("asking took %s", time.Since(began))
		}
		time.Sleep(pollTimeout)
		if r := q.latest(); r.err == nil || r.known(time.Now()) {
			t.Errorf("%+v", r)
		}
		cancel()
		synctest.Wait()
	})
}

func TestTheQueueIsReadNowAndThenAndWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int64
		var failing atomic.Bool
		q := newQueue(func(context.Context) (admin.Status, error) {
			n := reads.Add(1)
			if failing.Load() {
				return admin.Status{}, errors.New("no such consumer")
			}
			return admin.Status{Time: time.Now(), Backlog: int(n)}, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		go q.run(ctx)
		synctest.Wait()
		for range 10 { // however many ask
			q.ask(ctx)
		}
		if n := reads.Load(); n != 1 {
			t.Errorf("%d reads, want 1", n)
		}
		time.Sleep(askInterval)
		if r := q.ask(ctx); r.status.Backlog != 2 || !r.known(time.Now()) {
			t.Errorf("%+v, want a fresh one", r)
		}
		time.Sleep(3*pollInterval + time.Second)
		if n := reads.Load(); n < 4 || n > 5 {
			t.Errorf("%d reads", n)
		}
		failing.Store(true)
		time.Sleep(pollInterval)
		if r := q.latest(); r.err == nil || !r.known(time.Now()) || r.status.Backlog == 0 {
			t.Errorf("%+v, want the last status and the error", r)
		}
		time.Sleep(staleAfter)
		if q.latest().known(time.Now()) {
			t.Error("a stale status counts as known")
		}
		cancel()
		synctest.Wait()
	})
}

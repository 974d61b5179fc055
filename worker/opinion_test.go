package worker_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/worker"
	"revoker/worker/authlete/sim"
)

// newBlock is a bench whose API answers SERVER_ERROR to all sessions of a block, which is the head of the queue and too long for the
// slots. called, if not nil, is told of each call before it is answered, and may hold it up.
func newBlock(t *testing.T, called func(id string)) (b *bench, block []string) {
	t.Helper()
	b = newBench(t, sim.Options{Tokens: 2, Rule: func(id string, _ int) sim.Answer {
		if called != nil {
			called(id)
		}
		switch {
		case strings.HasPrefix(id, "bad"):
			return sim.Answer{Kind: sim.ServerError}
		case id == "rejected":
			return sim.Answer{Kind: sim.CallerError}
		}
		return sim.Answer{}
	}})
	b.cfg.Concurrency = 8
	b.setup()
	block = sessions("bad", 60)
	b.publishSession(block...)
	return b, block
}

// The newest event is asked about before its delivery. If that revokes its session, the delivery is acknowledged without a call, and its
// tokens are counted once. If not, nothing is decided: the delivery is called for, and becomes the dead letter.
func TestWhatAnOpinionDidIsAccountedFor(t *testing.T) {
	t.Parallel()
	for newest, want := range map[string]struct {
		outcome          worker.Outcome
		deleted, letters int
	}{"good": {worker.Revoked, 2, 0}, "rejected": {worker.CallerError, 0, 1}} {
		t.Run(newest, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{})
			tell := sync.OnceFunc(func() { close(asked) })
			b, block := newBlock(t, func(id string) {
				switch {
				case id == newest:
					tell()
				case strings.HasPrefix(id, "other"): // which an opinion may ask about too, and be content with
					<-asked
				}
			})
			t.Cleanup(tell)
			b.publishSession(append(sessions("other", 40), newest)...)
			b.start()
			var got worker.Outcome
			b.waitFor("its settlement", func() bool {
				// A slow machine may take the block for an outage, and put events off until the next opinion.
				outcomes := slices.DeleteFunc(b.outcomes(newest), func(o worker.Outcome) bool { return o == worker.Deferred })
				if len(outcomes) > 0 {
					got = outcomes[0]
				}
				return len(outcomes) == 1
			})
			if got != want.outcome || b.deleted(newest) != want.deleted || len(b.letters()) != want.letters {
				t.Errorf("%s, %d tokens, %d dead letters; want %+v", got, b.deleted(newest), len(b.letters()), want)
			}
			var last []sim.Call // what was put off may come after the newest
			b.waitFor("a call for the last one of the block", func() bool {
				last = b.api.Session(block[len(block)-1]).Calls
				return len(last) > 0
			})
			if calls := b.api.Session(newest).Calls; !calls[0].Began.Before(last[0].Began) {
				t.Error("it was not asked about before its turn")
			}
		})
	}
}

// If the newest event can't be read, others of its lane are asked about: good sessions behind the block do not wait.
func TestAnEventThatCantBeReadSilencesNoOpinion(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{"no event": "{", "a service that is not allowed": `{"sessionId":"s","serviceId":"77"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := newBlock(t, nil)
			good := sessions("good", 60)
			b.publishSession(good...)
			b.publish(&nats.Msg{Data: []byte(payload)})
			b.start()
			b.allRevoked(good)
			b.waitFor("its dead letter", func() bool { return len(b.letters()) == 1 })
		})
	}
}

package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/worker/authlete/sim"
)

// A consumer that somebody deletes is created again. It delivers everything that the stream still has once more, which
// deletes nothing twice.
func TestADeletedConsumerIsRestored(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	b.start()
	b.publishSession(sessions("before", 20)...)
	b.waitDone()
	if err := b.js.DeleteConsumer(b.deadline(), b.cfg.Stream, b.cfg.Consumer); err != nil {
		t.Fatal(err)
	}
	after := sessions("after", 20)
	b.publishSession(after...)
	b.waitFor("revocation", func() bool { return b.revoked(after[19]) })
	b.waitDone()
	b.waitFor("word of the end", func() bool { return b.log.count("events are served again") > 0 })
	// A pull that is not answered in time, on a machine that stands still for a moment, is told beside it.
	n := 0
	for line := range strings.Lines(b.log.String()) {
		if strings.Contains(line, "events are not served") && !strings.Contains(line, "the server did not answer") {
			n++
		}
	}
	if n > 1 {
		t.Errorf("the log says %d times that events are not served:\n%s", n, b.log)
	}
}

func TestADeletedStreamIsRestored(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	b.start()
	b.publishSession(sessions("before", 20)...)
	b.waitDone()
	if err := b.js.DeleteStream(b.deadline(), b.cfg.Stream); err != nil {
		t.Fatal(err)
	}
	b.waitFor("stream and consumer", func() bool {
		_, err := b.js.Consumer(b.deadline(), b.cfg.Stream, b.cfg.Consumer)
		return err == nil
	})
	after := sessions("after", 20)
	b.publishSession(after...)
	b.waitDone()
	for _, id := range after {
		if !b.revoked(id) {
			t.Errorf("%s is not revoked", id)
		}
	}
}

// What somebody else creates in its place is held against the promise before anything is pulled from it.
func TestAConsumerThatWasReplacedByAnUnsoundOneIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, sim.Options{})
	b.start()
	b.waitFor("a waiting pull", func() bool { return b.info().NumWaiting > 0 })
	if err := b.js.DeleteConsumer(b.deadline(), b.cfg.Stream, b.cfg.Consumer); err != nil {
		t.Fatal(err)
	}
	unsound := jetstream.ConsumerConfig{Durable: b.cfg.Consumer, AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: b.cfg.Subject, MaxDeliver: 1}
	b.waitFor("the unsound consumer", func() bool {
		_ = b.js.DeleteConsumer(b.deadline(), b.cfg.Stream, b.cfg.Consumer) // revoker may have been faster
		_, err := b.js.CreateConsumer(b.deadline(), b.cfg.Stream, unsound)
		return err == nil
	})
	b.waitFor("word of it", func() bool { return strings.Contains(b.log.String(), "max deliver is 1") })
	b.publishSession("waits")
	unsound.MaxDeliver = -1
	if b.revoked("waits") {
		t.Error("an event was taken from a consumer that loses events")
	}
	if _, err := b.js.UpdateConsumer(b.deadline(), b.cfg.Stream, unsound); err != nil {
		t.Fatal(err)
	}
	b.waitFor("revocation", func() bool { return b.revoked("waits") })
}

// An ack wait that is changed while the worker runs is followed once the consumer is set up again.
func TestTheAckWaitIsFollowed(t *testing.T) {
	t.Parallel()
	// The time between two renewals is a third of the ack wait: 20 s, and then 2 s. So they can be some seconds late.
	b := newBench(t, sim.Options{Latency: 8 * time.Second})
	b.cfg.AckWait, b.cfg.RequestTimeout = time.Minute, time.Minute
	b.start()
	b.waitFor("a waiting pull", func() bool { return b.info().NumWaiting > 0 })
	shorter := jetstream.ConsumerConfig{Durable: b.cfg.Consumer, AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: b.cfg.Subject, MaxDeliver: -1, AckWait: 6 * time.Second}
	if err := b.js.DeleteConsumer(b.deadline(), b.cfg.Stream, b.cfg.Consumer); err != nil {
		t.Fatal(err)
	}
	b.waitFor("the changed consumer", func() bool {
		_ = b.js.DeleteConsumer(b.deadline(), b.cfg.Stream, b.cfg.Consumer)
		_, err := b.js.CreateConsumer(b.deadline(), b.cfg.Stream, shorter)
		return err == nil
	})
	b.waitFor("word of the difference", func() bool { return strings.Contains(b.log.String(), "ack wait is 6s, not 1m0s") })
	b.publishSession("slow")
	b.waitDone()
	if n := b.api.Calls(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

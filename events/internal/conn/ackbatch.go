package conn

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// ackBatchDelay is how long acknowledgements are collected before they leave together. A system call for each would cost a
	// twelfth of a worker's CPU time. A worker that is killed loses the acknowledgements of this much more time.
	ackBatchDelay = time.Millisecond
	// heldBatchDelay is how soon acknowledgements that wait for the server's confirmation are looked at again without it.
	heldBatchDelay = 100 * time.Millisecond
)

// ackBatcher sends acknowledgements in batches. If one is lost, the server delivers its event again.
type ackBatcher struct {
	nc   *nats.Conn
	log  *slog.Logger
	wake chan struct{} // there is something to send; holds one signal
	stop chan struct{}
	done sync.WaitGroup

	closing sync.Once

	mu      sync.Mutex // held for moments only, so that whoever settles or renews waits for no network
	pending []acknowledgement

	sending sync.Mutex // of who sends, in the order of what is pending
	batch   []acknowledgement
	failing bool
}

type acknowledgement struct {
	incarnation   *Incarnation
	subject, text string
}

func newAckBatcher(nc *nats.Conn, log *slog.Logger) *ackBatcher {
	b := &ackBatcher{nc: nc, log: log, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	b.done.Go(b.run)
	return b
}

func (b *ackBatcher) put(i *Incarnation, subject, text string) {
	b.mu.Lock()
	b.pending = append(b.pending, acknowledgement{i, subject, text})
	first := len(b.pending) == 1
	b.mu.Unlock()
	if first {
		b.signal()
	}
}

func (b *ackBatcher) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// run sends what is pending, a moment after the first came.
func (b *ackBatcher) run() {
	held := time.NewTimer(heldBatchDelay)
	defer held.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-held.C:
		case <-b.wake:
		}
		select {
		case <-b.stop:
			return
		case <-time.After(ackBatchDelay):
		}
		if b.send() > 0 {
			held.Reset(heldBatchDelay)
		}
	}
}

// send hands to the connection what may be sent, and drops what must not be. It returns how many acknowledgements it holds back
// until the server has confirmed their incarnation.
func (b *ackBatcher) send() (held int) {
	b.sending.Lock()
	defer b.sending.Unlock()
	batch := b.take()
	var current *Incarnation
	var decision verdict
	for _, ack := range batch {
		if ack.incarnation != current {
			current = ack.incarnation
			decision = current.verdict(time.Now(), b.signal)
		}
		switch decision {
		case mayNotSettle:
			current.refuse()
		case mustWait:
			batch[held] = ack
			held++
		case maySettle:
			b.publish(ack)
		}
	}
	clear(batch[held:])
	b.giveBack(batch[:held])
	return held
}

// take takes what is pending. The caller holds sending, here and below.
func (b *ackBatcher) take() (batch []acknowledgement) {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch, b.pending = b.pending, b.batch
	return batch
}

// giveBack puts what is held back before what came meanwhile.
func (b *ackBatcher) giveBack(batch []acknowledgement) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(batch) == 0 {
		b.batch = batch
		return
	}
	came := b.pending
	b.pending = append(batch, came...)
	clear(came)
	b.batch = came[:0]
}

// publish hands an acknowledgement to the connection. A connection that is cut keeps some megabytes; more is an error.
func (b *ackBatcher) publish(ack acknowledgement) {
	err := b.nc.Publish(ack.subject, []byte(ack.text))
	if err != nil && !b.failing {
		b.log.Warn("acknowledgements can't be sent; their events are delivered again", "error", err)
	}
	b.failing = err != nil
}

// flush sends what is pending. It waits, until ctx is done, for the server to confirm what is held back.
func (b *ackBatcher) flush(ctx context.Context) {
	again := time.NewTicker(ackBatchDelay)
	defer again.Stop()
	for b.send() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// close sends what is left, and drops what the server does not confirm soon. It may be called again.
func (b *ackBatcher) close() {
	b.closing.Do(func() { close(b.stop) })
	b.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
	defer cancel()
	if !b.nc.IsConnected() {
		cancel()
	}
	b.flush(ctx)
	b.done.Wait()
}

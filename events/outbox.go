package events

import (
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// gather is how long acknowledgements are gathered before they leave together: a system call each would cost a twelfth of
// all the time. The server counts in seconds; a worker that is killed loses this much more.
const gather = time.Millisecond

// outbox sends acknowledgements in batches. Where one is lost, the server delivers its event again.
type outbox struct {
	nc   *nats.Conn
	log  *slog.Logger
	full chan struct{} // something is in it; holds one signal
	stop chan struct{}
	done sync.WaitGroup

	closing sync.Once

	mu      sync.Mutex
	pending []outgoing
	failing bool
}

type outgoing struct{ subject, ack string }

func newOutbox(nc *nats.Conn, log *slog.Logger) *outbox {
	o := &outbox{nc: nc, log: log, full: make(chan struct{}, 1), stop: make(chan struct{})}
	o.done.Go(o.run)
	return o
}

func (o *outbox) put(subject, ack string) {
	o.mu.Lock()
	o.pending = append(o.pending, outgoing{subject, ack})
	first := len(o.pending) == 1
	o.mu.Unlock()
	if first {
		select {
		case o.full <- struct{}{}:
		default:
		}
	}
}

// run sends what is in it, a moment after the first came.
func (o *outbox) run() {
	for {
		select {
		case <-o.stop:
			return
		case <-o.full:
		}
		select {
		case <-o.stop:
			return
		case <-time.After(gather):
		}
		o.send()
	}
}

// send hands everything to the connection. While that is cut it keeps some megabytes; what is beyond is an error.
func (o *outbox) send() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ack := range o.pending {
		err := o.nc.Publish(ack.subject, []byte(ack.ack))
		if err != nil && !o.failing {
			o.log.Warn("acknowledgements can't be sent; their events are delivered again", "error", err)
		}
		o.failing = err != nil
	}
	clear(o.pending)
	o.pending = o.pending[:0]
}

// close sends what is left. It may be called again.
func (o *outbox) close() {
	o.closing.Do(func() { close(o.stop) })
	o.done.Wait()
	o.send()
}

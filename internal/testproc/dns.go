package testproc

import (
	"context"
	"net"
	"sync"
	"testing"
)

// SilentDNS is a DNS server that takes questions and does not answer, while a test wants that; see [SilentDNS.Begin]. At other times
// questions fail. It serves a package whose tests need no name from DNS: its Dial is for a [net.Resolver].
type SilentDNS struct {
	mu     sync.Mutex
	silent bool
	asked  []net.Conn // what the questions went to
}

// Dial takes a question.
func (d *SilentDNS) Dial(context.Context, string, string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.silent {
		return nil, net.ErrClosed
	}
	question, other := net.Pipe()
	d.asked = append(d.asked, other)
	return question, nil
}

// Questions is how many came since Begin.
func (d *SilentDNS) Questions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked)
}

// Begin lets questions wait until the test is over. Without that end the resolver would go on for seconds after those who asked have
// left.
func (d *SilentDNS) Begin(t testing.TB) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent, d.asked = true, nil
	t.Cleanup(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.silent = false
		for _, other := range d.asked {
			_ = other.Close()
		}
	})
}

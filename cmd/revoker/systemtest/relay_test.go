package systemtest

import (
	"net"
	"sync"
	"testing"
)

// relay passes TCP connections on to a target, and can cut them or let them go silent.
type relay struct {
	addr   string
	target string

	mu      sync.Mutex
	open    map[net.Conn]bool
	silence chan struct{} // closed while bytes may pass
	working sync.WaitGroup
}

func newRelay(t testing.TB, target string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: listener.Addr().String(), target: target, open: map[net.Conn]bool{}, silence: make(chan struct{})}
	close(r.silence)
	r.working.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			r.working.Go(func() { r.pass(client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		r.heal()
		r.cut()
		r.working.Wait()
	})
	return r
}

func (r *relay) pass(client net.Conn) {
	defer client.Close()
	upstream, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer upstream.Close()
	r.mu.Lock()
	r.open[client], r.open[upstream] = true, true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.open, client)
		delete(r.open, upstream)
		r.mu.Unlock()
	}()
	var back sync.WaitGroup
	back.Go(func() { r.copy(client, upstream) })
	r.copy(upstream, client)
	back.Wait()
}

// copy ends both connections when either side does.
func (r *relay) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		<-r.passing()
		if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (r *relay) passing() chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.silence
}

// cut closes every connection.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.open {
		conn.Close()
	}
}

// blackHole lets no byte pass until heal; connections stay open.
func (r *relay) blackHole() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.silence:
		r.silence = make(chan struct{})
	default:
	}
}

func (r *relay) heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.silence:
	default:
		close(r.silence)
	}
}

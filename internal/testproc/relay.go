package testproc

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Relay passes TCP connections on to a target. It can cut them, refuse new ones, let them go silent, or lose their far end.
type Relay struct {
	Addr   string // where it listens
	target string

	mu      sync.Mutex
	open    map[*relayed]bool
	silence chan struct{} // closed while bytes may pass
	refuses bool
	working sync.WaitGroup
}

// relayed is one connection through a relay.
type relayed struct {
	client, upstream net.Conn
	lost             chan struct{} // closed once the client must not hear that the far end is gone
}

// NewRelay starts a relay to a target, for the length of the test.
func NewRelay(t testing.TB, target string) *Relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: listener.Addr().String(), target: target, open: map[*relayed]bool{}, silence: make(chan struct{})}
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
		r.Heal()
		r.Cut()
		r.working.Wait()
	})
	return r
}

func (r *Relay) pass(client net.Conn) {
	defer client.Close()
	r.mu.Lock()
	refuses := r.refuses
	r.mu.Unlock()
	if refuses {
		return
	}
	upstream, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer upstream.Close()
	// A silence is felt soon: the kernel would take megabytes for it.
	_ = client.(*net.TCPConn).SetReadBuffer(64 << 10)
	c := &relayed{client: client, upstream: upstream, lost: make(chan struct{})}
	r.mu.Lock()
	r.open[c] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.open, c)
		r.mu.Unlock()
	}()
	var back sync.WaitGroup
	back.Go(func() { r.copy(c, client, upstream) })
	r.copy(c, upstream, client)
	back.Wait()
}

// copy ends both connections when either side does, unless the far end is lost: then the client only stops hearing from it.
func (r *Relay) copy(c *relayed, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		<-r.passing()
		if err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err == nil {
			continue
		}
		select {
		case <-c.lost:
			if from == c.upstream {
				return
			}
			_, _ = io.Copy(io.Discard, c.client)
		default:
		}
		to.Close()
		from.Close()
		return
	}
}

func (r *Relay) passing() chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.silence
}

// Cut closes every connection.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		c.client.Close()
		c.upstream.Close()
	}
}

// Silence lets no byte pass until [Relay.Heal]; connections stay open.
func (r *Relay) Silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.silence:
		r.silence = make(chan struct{})
	default:
	}
}

// Refuse cuts every connection, and each new one until [Relay.Heal].
func (r *Relay) Refuse() {
	r.mu.Lock()
	r.refuses = true
	r.mu.Unlock()
	r.Cut()
}

// LoseFarEnd makes every connection half-open: the target sees its end, the client hears nothing more. New ones work.
func (r *Relay) LoseFarEnd() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		select {
		case <-c.lost:
		default:
			close(c.lost)
		}
		c.upstream.Close()
	}
}

// Heal ends Silence and Refuse.
func (r *Relay) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuses = false
	select {
	case <-r.silence:
	default:
		close(r.silence)
	}
}

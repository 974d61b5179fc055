package conn_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"revoker/config"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

// stalling passes connections on to a server until it is stalled. From then on it reads nothing more of those that it has.
type stalling struct {
	net.Listener
	done sync.WaitGroup

	mu      sync.Mutex
	stalled chan struct{} // closed by a stall, for the connections of then
}

// stall stalls the connections that there are.
func (s *stalling) stall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.stalled)
	s.stalled = make(chan struct{})
}

func (s *stalling) present() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled
}

func newStalling(t *testing.T, server string) *stalling {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stalling{Listener: listener, stalled: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	s.done.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			context.AfterFunc(ctx, func() { client.Close(); upstream.Close() })
			s.done.Go(func() { _, _ = io.Copy(client, upstream); client.Close() })
			s.done.Go(func() { s.pass(ctx, upstream, client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		cancel()
		s.done.Wait()
	})
	return s
}

func (s *stalling) pass(ctx context.Context, upstream, client net.Conn) {
	defer upstream.Close()
	stalled, buffer := s.present(), make([]byte, 32<<10)
	for {
		n, err := client.Read(buffer)
		select {
		case <-stalled:
			<-ctx.Done()
			return
		default:
		}
		if _, werr := upstream.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
	}
}

// A server that reads nothing more, as one that is stopped, fills the connection's buffers. Whoever publishes then waits with the
// connection's lock held, and all others behind it, pings included. The connection is given up within seconds.
func TestAServerThatReadsNothingMoreIsGivenUp(t *testing.T) {
	t.Parallel()
	h := eventstest.New(t)
	relay := newStalling(t, strings.TrimPrefix(h.Server.URL(), "nats://"))
	h.Cfg.NATS.URL = config.NewServerURLs("nats://" + relay.Addr().String())
	c := h.Connect(t, true)
	if err := c.AwaitConnected(eventstest.Deadline(t)); err != nil {
		t.Fatal(err)
	}
	relay.stall()
	stop, published := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(published)
		for payload := make([]byte, 256<<10); ; {
			_ = c.NC().Publish("nobody.listens", payload)
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	testproc.WaitFor(t, "another connection", func() bool { return count(h.Log.Lines(), "reconnected to NATS") > 0 })
	close(stop)
	<-published
}

// In this package's tests DNS does not answer. No test needs a name from it.
var dns testproc.SilentDNS

func init() { net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: dns.Dial} }

// Names are looked up within the time for connecting. The library would look them up before, with the lock held, and without an
// end of its own: everybody who publishes would wait.
func TestADNSServerThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	dns.Begin(t)
	h := eventstest.Unconnected()
	h.Cfg.NATS.URL = config.NewServerURLs("nats://a.name.that.needs.dns.example:4222")
	c := h.Connect(t, true)
	testproc.WaitFor(t, "question to DNS", func() bool { return dns.Questions() > 0 })
	told := make(chan bool, 1)
	go func() { told <- c.NC().IsConnected() }() // it needs the lock, as everything does
	select {
	case connected := <-told:
		if connected {
			t.Error("connected to a name that nobody knows")
		}
	case <-time.After(eventstest.Timeout):
		t.Error("whoever uses the connection waits for DNS")
	}
}

package authlete

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"revoker/config"
	"revoker/worker/authlete/sim"
)

// TestOldTLSIsRefused: below TLS 1.2 the token is not safe on the wire.
func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	for version, accepted := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(startAPI(t, sim.Options{}).Handler())
			server.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			c := newClient(t, server.URL)
			trust(c, server)
			got, err := logout(t, c)
			if accepted {
				if got.Action != ActionOK || err != nil {
					t.Errorf("response %+v, %v, want OK", got, err)
				}
				return
			}
			checkError(t, err, "protocol version not supported")
		})
	}
}

// TestUnknownCertificateIsRefused: whoever stands between must not get the token.
func TestUnknownCertificateIsRefused(t *testing.T) {
	t.Parallel()
	api := startAPI(t, sim.Options{})
	server, _ := startTLS(t, api.Handler(), nil)
	_, err := logout(t, newClient(t, server.URL))
	checkError(t, err, "certificate signed by unknown authority")
	if n := api.Calls(); n != 0 {
		t.Errorf("the API got %d calls", n)
	}
}

func TestHTTP2SharesOneConnection(t *testing.T) {
	t.Parallel()
	const calls = 200
	api := startAPI(t, sim.Options{Token: testToken})
	var opened, other, keyed atomic.Int64
	server, c := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			other.Add(1)
		}
		if _, sent := r.Header["Idempotency-Key"]; sent {
			keyed.Add(1)
		}
		api.Handler().ServeHTTP(w, r)
	}), func(s *httptest.Server) { s.Config.ConnState = countOpened(&opened) })
	if _, err := logout(t, c); err != nil { // until the first is open, each call dials
		t.Fatalf("%s: %v", server.URL, err)
	}
	together(calls, 16, func(i int) {
		got, err := c.Logout(t.Context(), testService, fmt.Sprint("sid-", i))
		if got.Action != ActionOK || err != nil {
			t.Errorf("call %d: response %+v, %v, want OK", i, got, err)
		}
	})
	if opened.Load() != 1 || other.Load() != 0 || keyed.Load() != 0 {
		t.Errorf("%d connections, %d calls not by HTTP/2, %d with an Idempotency-Key, want 1, 0 and 0",
			opened.Load(), other.Load(), keyed.Load())
	}
}

// TestHTTP2FewStreams: a server that allows fewer streams than there are calls slows them down, but fails none.
func TestHTTP2FewStreams(t *testing.T) {
	t.Parallel()
	for _, streams := range []int{1, 4} {
		t.Run(fmt.Sprint(streams), func(t *testing.T) {
			t.Parallel()
			api := startAPI(t, sim.Options{Latency: time.Millisecond})
			_, c := startTLS(t, api.Handler(), func(s *httptest.Server) {
				s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
			})
			together(200, 16, func(i int) {
				got, err := c.Logout(t.Context(), testService, fmt.Sprint("sid-", i))
				if got.Action != ActionOK || err != nil {
					t.Errorf("call %d: response %+v, %v, want OK", i, got, err)
				}
			})
		})
	}
}

// TestHTTP2DeadConnection: a connection that a firewall dropped without a word carries every call, and would fail them all
// until TCP gives up after minutes. A ping finds out; the next calls go over a new connection, even where only one is allowed.
func TestHTTP2DeadConnection(t *testing.T) {
	t.Parallel()
	for _, concurrency := range []int{1, 16} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			t.Parallel()
			api := startAPI(t, sim.Options{})
			server, _ := startTLS(t, api.Handler(), nil)
			between := startRelay(t, server.Listener.Addr().String())
			c := newClient(t, "https://"+between.address, requestTimeout(time.Minute),
				func(c *config.Config) { c.Concurrency = concurrency })
			trust(c, server)
			if got, err := logout(t, c); got.Action != ActionOK || err != nil {
				t.Fatalf("response %+v, %v, want OK", got, err)
			}
			between.silence()
			// Whether net/http repeats the call is its own affair; it must not last as long as the request timeout.
			_, _ = logout(t, c)
			eventually(t, "a call over a new connection", func() bool {
				got, err := logout(t, c)
				return got.Action == ActionOK && err == nil
			})
			if n := between.accepted.Load(); n != 2 {
				t.Errorf("%d connections, want 2", n)
			}
		})
	}
}

// relay passes TCP connections on to a server until it falls silent.
type relay struct {
	address  string
	accepted atomic.Int64

	mu    sync.Mutex
	quiet []*atomic.Bool // one for each connection
}

func startRelay(t *testing.T, server string) *relay {
	t.Helper()
	r := &relay{}
	r.address = serveTCP(t, func(client net.Conn) {
		r.accepted.Add(1)
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		quiet := new(atomic.Bool)
		r.mu.Lock()
		r.quiet = append(r.quiet, quiet)
		r.mu.Unlock()
		var wg sync.WaitGroup
		wg.Go(func() { pass(client, upstream, quiet); client.Close() })
		wg.Go(func() { pass(upstream, client, quiet); upstream.Close() })
		wg.Wait()
	})
	return r
}

// silence makes the connections that are open lose all that is sent, without being closed.
func (r *relay) silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, quiet := range r.quiet {
		quiet.Store(true)
	}
}

func pass(to io.Writer, from io.Reader, quiet *atomic.Bool) {
	for buffer := make([]byte, 32<<10); ; {
		n, err := from.Read(buffer)
		if !quiet.Load() {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// startTLS serves by HTTP/2, and returns a client that trusts the server.
func startTLS(t *testing.T, handler http.Handler, edit func(*httptest.Server)) (*httptest.Server, *Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if edit != nil {
		edit(server)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	c := newClient(t, server.URL)
	trust(c, server)
	return server, c
}

// trust makes the client accept the server's certificate, as the system's authorities would a real one.
func trust(c *Client, server *httptest.Server) {
	c.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	c.transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
}

package authlete

import (
	"context"
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

// TestOneConnectionPerCall: a server that offers HTTP/2 is called by HTTP/1.1, so that a lost connection costs one call alone.
func TestOneConnectionPerCall(t *testing.T) {
	t.Parallel()
	const calls, concurrency = 200, 16
	keepsConnections(t, func() (problem string) {
		api := startAPI(t, sim.Options{Token: testToken})
		var opened, other, keyed atomic.Int64
		_, c := startTLS(t, atOnce(concurrency, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 1 {
				other.Add(1)
			}
			if _, sent := r.Header["Idempotency-Key"]; sent {
				keyed.Add(1)
			}
			api.Handler().ServeHTTP(w, r)
		})), func(s *httptest.Server) { s.Config.ConnState = countOpened(&opened) })
		together(calls, concurrency, func(i int) {
			got, err := c.Logout(t.Context(), testService, fmt.Sprint("sid-", i))
			if got.Action != ActionOK || err != nil {
				t.Errorf("call %d: response %+v, %v, want OK", i, got, err)
			}
		})
		if other.Load() != 0 || keyed.Load() != 0 {
			t.Errorf("%d calls not by HTTP/1.1, %d with an Idempotency-Key, want none", other.Load(), keyed.Load())
		}
		if n := opened.Load(); n != concurrency {
			return fmt.Sprintf("%d connections, want %d", n, concurrency)
		}
		return ""
	})
}

// atOnce lets the first n requests wait for each other, so that each has a connection of its own. They don't wait for ever: if one
// never comes, the test fails, and must end.
func atOnce(n int, handler http.Handler) http.Handler {
	var begun atomic.Int64
	all := make(chan struct{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i := begun.Add(1); i <= int64(n) {
			if i == int64(n) {
				close(all)
			}
			select {
			case <-all:
			case <-time.After(patience):
			}
		}
		handler.ServeHTTP(w, r)
	})
}

// TestDeadConnections: a firewall may drop every connection without a word. One call finds out by its timeout. The idle connections
// must not cost one more call each.
func TestDeadConnections(t *testing.T) {
	t.Parallel()
	for _, concurrency := range []int{1, 16} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			t.Parallel()
			api := startAPI(t, sim.Options{})
			server, _ := startTLS(t, atOnce(concurrency, api.Handler()), nil)
			between := startRelay(t, server.Listener.Addr().String())
			c := newClient(t, "https://"+between.address, func(c *config.Config) { c.Concurrency = concurrency })
			trust(c, server)
			together(concurrency, concurrency, func(int) {
				if got, err := c.Logout(t.Context(), testService, testSession); got.Action != ActionOK || err != nil {
					t.Errorf("response %+v, %v, want OK", got, err)
				}
			})
			if n := between.accepted.Load(); int(n) != concurrency {
				t.Errorf("%d connections, want %d", n, concurrency)
			}
			// The one call that must time out has a short timeout. It is answered if no connection was kept; see keepsConnections.
			var before int64
			eventually(t, "a call by a dead connection", func() bool {
				between.silence()
				before, c.timeout = between.accepted.Load(), 300*time.Millisecond
				_, err := logout(t, c)
				c.timeout = patience
				if err != nil {
					checkError(t, err, "no whole answer within 300ms")
				}
				return err != nil && between.accepted.Load() == before
			})
			if got, err := logout(t, c); got.Action != ActionOK || err != nil {
				t.Errorf("the second call: response %+v, %v, want OK", got, err)
			}
			if n := between.accepted.Load(); n != before+1 {
				t.Errorf("%d connections after the dead ones, want 1", n-before)
			}
		})
	}
}

// TestOneDeadConnection: while others are answered, a call that times out leaves their connections alone.
func TestOneDeadConnection(t *testing.T) {
	t.Parallel()
	const concurrency = 4
	api := startAPI(t, sim.Options{})
	api.Script("hangs", sim.Answer{Kind: sim.Hang})
	var opened atomic.Int64
	server, _ := startTLS(t, atOnce(concurrency, api.Handler()), func(s *httptest.Server) { s.Config.ConnState = countOpened(&opened) })
	c := newClient(t, server.URL, func(c *config.Config) { c.Concurrency = concurrency })
	trust(c, server)
	call := func(ctx context.Context, id string) error {
		_, err := c.Logout(ctx, testService, id)
		return err
	}
	together(concurrency, concurrency, func(i int) {
		if err := call(t.Context(), fmt.Sprint("sid-", i)); err != nil {
			t.Error(err)
		}
	})
	// It ends as by the request timeout, but not before the others are answered.
	ctx, timeOut := context.WithCancelCause(t.Context())
	defer timeOut(nil)
	hung := make(chan error, 1)
	go func() { hung <- call(ctx, "hangs") }()
	eventually(t, "the call that hangs", func() bool { return api.Calls() == concurrency+1 })
	for range 2 {
		if err := call(t.Context(), "sid"); err != nil {
			t.Error(err)
		}
	}
	timeOut(context.DeadlineExceeded)
	checkError(t, <-hung, "no whole answer within "+patience.String())
	if err := call(t.Context(), "sid"); err != nil || opened.Load() != concurrency {
		t.Errorf("%v, %d connections, want %d", err, opened.Load(), concurrency)
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

// startTLS serves by HTTP/1.1 and HTTP/2, and returns a client that trusts the server.
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

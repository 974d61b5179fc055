package authlete

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"revoker/config"
	"revoker/worker/authlete/sim"
)

// TestStaleConnection: a server may close a kept-alive connection just as the next request is on its way to it. The call can
// be repeated without harm, so it must not fail.
func TestStaleConnection(t *testing.T) {
	t.Parallel()
	for name, linger := range map[string]int{"closed": -1, "reset": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keepsConnections(t, func() (problem string) {
				var connections, dropped atomic.Int64
				address := serveTCP(t, func(conn net.Conn) {
					first := connections.Add(1) == 1
					for readRequest(conn) == nil {
						_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"action\":\"OK\"}")
						if first {
							if readRequest(conn) == nil { // the second request has arrived, and is lost
								dropped.Add(1)
							}
							_ = conn.(*net.TCPConn).SetLinger(linger)
							return
						}
					}
				})
				c := newClient(t, "http://"+address)
				for i := range 2 {
					got, err := logout(t, c)
					if want := (Response{Status: 200, Action: ActionOK}); got != want || err != nil {
						t.Errorf("call %d: response %+v, %v, want %+v", i+1, got, err, want)
					}
				}
				if connections.Load() != 2 || dropped.Load() != 1 {
					return fmt.Sprintf("%d connections, %d requests lost, want 2 and 1", connections.Load(), dropped.Load())
				}
				return ""
			})
		})
	}
}

// TestConnectionsAreReused: a handshake for each call would cost more than the call.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	const calls, concurrency = 500, 16
	for name, answer := range map[string]sim.Answer{
		"OK":                   {},
		"refused":              {Kind: sim.Unauthorized},
		"a page":               {Kind: sim.Unavailable},
		"a body over the cap":  {Kind: sim.Raw, Body: strings.Repeat(" ", 2*maxBody)},
		"no body":              {Kind: sim.Empty},
		"a redirect elsewhere": {Kind: sim.Raw, Status: 302, Location: "http://127.0.0.1:1/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keepsConnections(t, func() (problem string) {
				api := startAPI(t, sim.Options{Rule: func(string, int) sim.Answer { return answer }})
				var opened atomic.Int64
				server := httptest.NewUnstartedServer(api.Handler())
				server.Config.ConnState = countOpened(&opened)
				server.Start()
				t.Cleanup(server.Close)
				c := newClient(t, server.URL, func(c *config.Config) { c.Concurrency = concurrency })
				together(calls, concurrency, func(i int) {
					if got, _ := c.Logout(t.Context(), testService, fmt.Sprint("sid-", i)); got.Status == 0 {
						t.Errorf("call %d: no answer", i)
					}
				})
				if n := api.Calls(); n != calls {
					t.Errorf("the API got %d calls, want %d", n, calls)
				}
				if n := opened.Load(); n > concurrency {
					return fmt.Sprintf("%d connections for %d calls, want at most %d", n, calls, concurrency)
				}
				return ""
			})
		})
	}
}

// keepsConnections fails the test if each of some rounds has a problem with the number of connections. One good round is proof.
// net/http closes a connection if it sees only 50 ms after the answer that the request was written, as on a machine that stood still.
func keepsConnections(t *testing.T, round func() (problem string)) {
	t.Helper()
	var problem string
	for range 10 {
		if problem = round(); problem == "" || t.Failed() {
			return
		}
	}
	t.Error(problem)
}

// together makes n calls, so many at a time.
func together(n, concurrency int, call func(i int)) {
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for range concurrency {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				call(int(i))
			}
		})
	}
	wg.Wait()
}

func countOpened(opened *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
}

// TestProxyFromEnvironment runs itself as another process, since net/http reads the environment once.
func TestProxyFromEnvironment(t *testing.T) {
	t.Parallel()
	const child = "REVOKER_TEST_PROXY_CHILD"
	if os.Getenv(child) != "" {
		c := newClient(t, "http://us.authlete.test", func(c *config.Config) { c.API.AllowInsecureHTTP = true })
		got, err := logout(t, c)
		if want := (Response{Status: 200, Action: ActionOK}); got != want || err != nil {
			t.Errorf("response %+v, %v, want %+v", got, err, want)
		}
		return
	}
	server, requests := record(t)
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyFromEnvironment$")
	command.Env = []string{child + "=1", "HTTP_PROXY=" + server.URL, "GOCOVERDIR=" + t.TempDir()}
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
	if len(requests) != 1 {
		t.Fatalf("the proxy got %d requests, want 1", len(requests))
	}
	if got, want := (<-requests).uri, "http://us.authlete.test/api/1234567890/nativesso/logout"; got != want {
		t.Errorf("the proxy was asked for %s, want %s", got, want)
	}
}

// proxy is a proxy that no environment names.
func proxy(address string) func(*http.Request) (*url.URL, error) {
	return func(*http.Request) (*url.URL, error) { return url.Parse(address) }
}

// vacant is an address that nobody listens on, nor can during the test: it is the near end of a connection.
func vacant(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("tcp", serveTCP(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

package authlete

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"revoker/worker/authlete/sim"
)

// TestRequestTimeout: whatever the server keeps a call waiting with, the request timeout ends it.
func TestRequestTimeout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scheme string
		serve  func(net.Conn)
		status int
	}{
		"no answer":             {"http", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, 0},
		"no handshake":          {"https", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, 0},
		"a status line, slowly": {"http", func(conn net.Conn) { trickle(conn, "", "H") }, 0},
		"headers, slowly":       {"http", func(conn net.Conn) { trickle(conn, "HTTP/1.1 200 OK\r\n", "A: b\r\n") }, 0},
		"a header, slowly":      {"http", func(conn net.Conn) { trickle(conn, "HTTP/1.1 200 OK\r\nA: ", "b") }, 0},
		"no body":               {"http", func(conn net.Conn) { trickle(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "") }, 200},
		"a body, slowly":        {"http", func(conn net.Conn) { trickle(conn, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", " ") }, 200},
		"chunks, slowly": {"http", func(conn net.Conn) {
			trickle(conn, "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n")
		}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, test.scheme+"://"+serveTCP(t, test.serve), requestTimeout(300*time.Millisecond))
			want := Response{Status: test.status}
			// On a machine that stands still for a moment the head may come too late, too. Then the call is made again.
			eventually(t, "a head in time", func() bool {
				got, err := logout(t, c)
				checkError(t, err, "no whole answer within 300ms")
				if got != want && got != (Response{}) {
					t.Errorf("response %+v, want %+v", got, want)
				}
				return got == want || t.Failed()
			})
		})
	}
}

// trickle answers with the head at once, then with one drop after the other until the client gives up.
func trickle(conn net.Conn, head, drop string) {
	_ = readRequest(conn)
	_, err := io.WriteString(conn, head)
	for err == nil && drop != "" {
		time.Sleep(20 * time.Millisecond) // of the server's own slowness
		_, err = io.WriteString(conn, drop)
	}
	_, _ = io.Copy(io.Discard, conn)
}

// TestEndlessHeaders: what comes fast is bounded by its size.
func TestEndlessHeaders(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{"200": "HTTP/1.1 200 OK\r\n", "103, again and again": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			address := serveTCP(t, func(conn net.Conn) {
				line := strings.Repeat("A: "+strings.Repeat("b", 100)+"\r\n", 10)
				if head == "" {
					line = "HTTP/1.1 103 Early Hints\r\n" + line + "\r\n"
				}
				pour(conn, head, line, &sent)
			})
			got, err := logout(t, newClient(t, "http://"+address))
			if got != (Response{}) || err == nil {
				t.Errorf("response %+v, %v, want an error", got, err)
			}
			checkSent(t, &sent)
		})
	}
}

// TestEndlessBody: the client reads its share, then closes the connection, long before the request timeout.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"with a length": "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
		"without":       "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 9\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			address := serveTCP(t, func(conn net.Conn) { pour(conn, head, strings.Repeat(" ", 4096), &sent) })
			got, err := logout(t, newClient(t, "http://"+address))
			if want := (map[string]Response{"with a length": {Status: 200}, "without": {Status: 503, RetryAfter: 9 * time.Second}})[name]; got != want {
				t.Errorf("response %+v, want %+v", got, want)
			}
			checkError(t, err, "more than 65536 bytes")
			checkSent(t, &sent)
		})
	}
}

// pour sends the head once and the rest until the client closes the connection.
func pour(conn net.Conn, head, rest string, sent *atomic.Int64) {
	_ = readRequest(conn)
	_, err := io.WriteString(conn, head)
	for err == nil {
		var n int
		n, err = io.WriteString(conn, rest)
		sent.Add(int64(n))
	}
}

// checkSent fails if the client took more than its cap and the kernel's socket buffers explain.
func checkSent(t *testing.T, sent *atomic.Int64) {
	t.Helper()
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("the client took %d bytes", n)
	}
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()
	t.Run("before the call", func(t *testing.T) {
		t.Parallel()
		api := startAPI(t, sim.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got, err := logoutOf(ctx, t, newClient(t, api.URL()), testService, testSession)
		if got != (Response{}) || !errors.Is(err, context.Canceled) {
			t.Errorf("response %+v, error %v, want %v", got, err, context.Canceled)
		}
		if n := api.Calls(); n != 0 {
			t.Errorf("%d calls were made", n)
		}
	})
	for name, test := range map[string]struct {
		head   string
		status int
	}{
		"before the answer": {"", 0},
		"in the body":       {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			address := serveTCP(t, func(conn net.Conn) {
				_ = readRequest(conn)
				_, _ = io.WriteString(conn, test.head)
				cancel()
				_, _ = io.Copy(io.Discard, conn)
			})
			got, err := logoutOf(ctx, t, newClient(t, "http://"+address), testService, testSession)
			// With the head on its way, either may come first.
			if (got.Status != 0 && got.Status != test.status) || got.Action != "" || !errors.Is(err, context.Canceled) {
				t.Errorf("response %+v, error %v, want status %d and %v", got, err, test.status, context.Canceled)
			}
		})
	}
}

// serveTCP serves each connection with serve, and closes it afterwards.
func serveTCP(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener := listen(t)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { conn.Close() })()
				serve(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// readRequest reads one whole request, so that the client has nothing left to send.
func readRequest(conn net.Conn) error {
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, request.Body)
	return err
}

// readAndReset resets the connection once something has arrived.
func readAndReset(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 64<<10))
	_ = conn.(*net.TCPConn).SetLinger(0)
}

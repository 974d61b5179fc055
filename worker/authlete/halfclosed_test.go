package authlete

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestHalfClosedConnection: a server that sends no more, but keeps its end open to read, costs a call no time and leaves no
// connection behind.
func TestHalfClosedConnection(t *testing.T) {
	t.Parallel()
	const known, chunked = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	const whole = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"action\":\"OK\"}"
	for name, test := range map[string]struct {
		said string // before the server closes its side
		want Response
		err  string
	}{
		"without an answer":              {"", Response{}, "calling the logout API"},
		"in the status line":             {"HTTP/1.1 2", Response{}, "calling the logout API"},
		"in the headers":                 {"HTTP/1.1 200 OK\r\nContent-", Response{}, "calling the logout API"},
		"in a body of known length":      {known + "{\"action\":\"OK\"}", Response{Status: 200}, "unexpected EOF"},
		"in a chunk":                     {chunked + "3e7\r\n{\"action\":\"OK\"}", Response{Status: 200}, "unexpected EOF"},
		"between two chunks":             {chunked + "f\r\n{\"action\":\"OK\"}\r\n", Response{Status: 200}, "unexpected EOF"},
		"in a body that ends with it":    {"HTTP/1.1 200 OK\r\n\r\n{\"action\":\"O", Response{Status: 200}, ""},
		"after a body that ends with it": {"HTTP/1.1 200 OK\r\n\r\n{\"action\":\"OK\"}", Response{Status: 200, Action: ActionOK}, ""},
		"after an answer, when it idles": {whole, Response{Status: 200, Action: ActionOK}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var open atomic.Int64
			c := newClient(t, "http://"+serveTCP(t, func(conn net.Conn) {
				open.Add(1)
				defer open.Add(-1)
				if readRequest(conn) != nil {
					return
				}
				_, _ = io.WriteString(conn, test.said)
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn) // until the client closes its side
			}), requestTimeout(time.Minute))
			for i := range 50 {
				got, err := c.Logout(t.Context(), testService, fmt.Sprint("sid-", i))
				if got != test.want {
					t.Fatalf("call %d: response %+v, want %+v", i, got, test.want)
				}
				checkError(t, err, test.err)
			}
			eventually(t, "the end of all connections", func() bool { return open.Load() == 0 })
		})
	}
}

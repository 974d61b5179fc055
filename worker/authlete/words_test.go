package authlete

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"revoker/config"
)

// TestSameFailureSameWords: failures are counted by their text, so what differs between two calls must not be in it.
func TestSameFailureSameWords(t *testing.T) {
	t.Parallel()
	reset := func(head string) func(net.Conn) {
		return func(conn net.Conn) {
			_ = readRequest(conn)
			_, _ = io.WriteString(conn, head)
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
	}
	for name, test := range map[string]struct {
		base string
		edit func(*Client)
		want string
	}{
		"connection refused":         {base: "http://" + vacant(t), want: "connection refused"},
		"connection reset":           {base: "http://" + serveTCP(t, reset("")), want: "connection reset by peer"},
		"connection reset, TLS":      {base: "https://" + serveTCP(t, func(conn net.Conn) { readAndReset(conn) }), want: "connection reset by peer"},
		"connection closed":          {base: "http://" + serveTCP(t, func(conn net.Conn) { _ = readRequest(conn) }), want: "EOF"},
		"name server does not serve": {base: "https://us.authlete.test", edit: func(c *Client) { c.transport.DialContext = lookUpAt(vacant(t)) }, want: "us.authlete.test"},
		"a proxy that wants a password": {base: "https://us.authlete.test",
			edit: func(c *Client) {
				c.transport.Proxy = proxy("http://" + serveTCP(t, func(conn net.Conn) {
					_ = readRequest(conn)
					_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
				}))
			},
			want: "the proxy asks for authentication (HTTP 407): look at HTTPS_PROXY"},
		"reset by a proxy for HTTPS": {base: "https://us.authlete.test",
			edit: func(c *Client) {
				c.transport.Proxy = proxy("https://" + serveTCP(t, func(conn net.Conn) { readAndReset(conn) }))
			},
			want: "connection reset by peer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, test.base, func(c *config.Config) { c.Concurrency = 1 })
			if test.edit != nil {
				test.edit(c)
			}
			var texts []string
			for range 3 {
				got, err := logout(t, c)
				if got != (Response{}) {
					t.Errorf("response %+v, want none", got)
				}
				checkError(t, err, test.want)
				texts = append(texts, fmt.Sprint(err))
			}
			if texts[0] != texts[1] || texts[1] != texts[2] {
				t.Errorf("one failure, several texts:\n%s", strings.Join(texts, "\n"))
			}
		})
	}
}

// lookUpAt dials by names that the name server at address should know.
func lookUpAt(address string) func(context.Context, string, string) (net.Conn, error) {
	dialer := &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", address)
	}}}
	return dialer.DialContext
}

package authlete

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"revoker/config"
)

// silentDNS is a DNS server that takes questions and does not answer.
type silentDNS struct {
	mu    sync.Mutex
	ended bool
	open  []net.Conn
}

func (d *silentDNS) dial(context.Context, string, string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return nil, net.ErrClosed
	}
	conn, other := net.Pipe()
	d.open = append(d.open, other)
	return conn, nil
}

// set ends the questions that are open, and refuses more of them or not.
func (d *silentDNS) set(ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = ended
	for _, conn := range d.open {
		_ = conn.Close()
	}
	d.open = nil
}

var dns silentDNS

// In this package's tests DNS does not answer. No test needs a name from it.
func init() { net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: dns.dial} }

// TestUnanswered: what stands before the API may not answer either.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	dns.set(false)
	t.Cleanup(func() { dns.set(true) })
	silent := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	for name, test := range map[string]struct{ base, proxy string }{
		"DNS":                            {base: "https://api.example"},
		"a proxy that takes a tunnel":    {base: "https://api.example", proxy: "http://" + serveTCP(t, silent)},
		"a proxy that is spoken TLS to":  {base: "https://api.example", proxy: "https://" + serveTCP(t, silent)},
		"DNS, for a proxy":               {base: "https://api.example", proxy: "http://proxy.example:3128"},
		"a proxy that passes calls on":   {base: "http://api.example", proxy: "http://" + serveTCP(t, silent)},
		"a machine that drops all of it": {base: "https://" + unaccepted(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, test.base, requestTimeout(300*time.Millisecond), func(c *config.Config) { c.API.AllowInsecureHTTP = true })
			if test.proxy != "" {
				proxy, err := url.Parse(test.proxy)
				if err != nil {
					t.Fatal(err)
				}
				c.transport.Proxy = http.ProxyURL(proxy)
			}
			got, err := logout(t, c)
			if got != (Response{}) {
				t.Errorf("response %+v", got)
			}
			checkError(t, err, "no whole answer within 300ms")
		})
	}
}

// unaccepted is the address of a listener that accepts nothing.
func unaccepted(t *testing.T) string { return listen(t).Addr().String() }

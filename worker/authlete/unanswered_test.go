package authlete

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"revoker/config"
	"revoker/internal/testproc"
)

// In this package's tests DNS does not answer. No test needs a name from it.
var dns testproc.SilentDNS

func init() { net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: dns.Dial} }

// TestUnanswered: what stands before the API may not answer either.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	dns.Begin(t)
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

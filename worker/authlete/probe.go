package authlete

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"
)

// Probe is what a call that names no session met on its way.
type Probe struct {
	// Response and Err are as of a Logout. The API answers CALLER_ERROR where token and service are right, for the sessionId
	// is missing.
	Response Response
	Err      error
	// Addresses are the host's, or the proxy's; none where the URL has the address itself.
	Addresses []string
	// Resolving, Connecting and Handshaking are the errors of the way's stages.
	Resolving, Connecting, Handshaking error
	// TLS is the version, 0 without TLS, and Expires when the server's certificate does.
	TLS     uint16
	Expires time.Time
}

// Probe makes a call without a session ID: it tells whether the API is there and takes the token for the service, and touches
// no session.
func (c *Client) Probe(ctx context.Context, serviceID string) Probe {
	var t tracer
	caller := c.Caller(httptrace.WithClientTrace(ctx, t.trace()))
	defer caller.Close()
	response, err := caller.call(serviceID, []byte("{}"))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Response, t.seen.Err = response, err
	return t.seen
}

// tracer notes the way of a call. A connection that is given up may still report to it after the call.
type tracer struct {
	mu   sync.Mutex
	seen Probe
}

func (t *tracer) note(f func(*Probe)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.seen)
}

func (t *tracer) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSDone: func(info httptrace.DNSDoneInfo) {
			t.note(func(p *Probe) {
				p.Resolving = info.Err
				for _, address := range info.Addrs {
					p.Addresses = append(p.Addresses, address.String())
				}
			})
		},
		ConnectDone: func(_, _ string, err error) { // of several addresses, the last that was tried
			t.note(func(p *Probe) { p.Connecting = err })
		},
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			t.note(func(p *Probe) {
				if p.Handshaking = err; err == nil && len(state.PeerCertificates) > 0 {
					p.TLS, p.Expires = state.Version, state.PeerCertificates[0].NotAfter
				}
			})
		},
	}
}

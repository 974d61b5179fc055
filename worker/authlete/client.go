// Package authlete is the client of Authlete's /nativesso/logout API.
package authlete

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"revoker/config"
)

const (
	maxBody  = 64 << 10  // of an answer; the API's own have some hundred bytes
	maxDrain = 256 << 10 // read and thrown away so that the connection can serve again
)

// Client calls the logout API. It is safe for concurrent use.
type Client struct {
	base      *url.URL
	endpoints map[string]*url.URL // of the services that are configured; not changed after New
	timeout   time.Duration
	userAgent string
	token     *tokenSource
	transport *http.Transport
	// lastHeader is the header of the last call, which serves the next.
	lastHeader atomic.Pointer[http.Header]
	// answers counts the calls that the API or a gateway answered.
	answers atomic.Int64
}

// New returns a client as the configuration says, for up to cfg.Concurrency calls at a time. version goes into the
// User-Agent. The error names the variable that is wrong.
func New(cfg config.Config, version string) (*Client, error) {
	if err := cfg.ValidateAPI(); err != nil {
		return nil, err
	}
	base, err := url.Parse(strings.TrimRight(cfg.API.BaseURL, "/") + "/")
	if err != nil {
		return nil, errors.New("AUTHLETE_BASE_URL: not a URL")
	}
	token, err := newTokenSource(cfg.API)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:      base,
		endpoints: map[string]*url.URL{},
		timeout:   cfg.RequestTimeout,
		userAgent: "revoker/" + version,
		token:     token,
		transport: newTransport(cfg.Concurrency),
	}
	for _, service := range append([]string{cfg.API.ServiceID}, cfg.API.AllowedServiceIDs...) {
		c.endpoints[service] = c.endpoint(service)
	}
	return c, nil
}

// endpoint returns the URL that a service's sessions are logged out at. It is not to be changed.
func (c *Client) endpoint(service string) *url.URL {
	if known := c.endpoints[service]; known != nil {
		return known
	}
	return c.base.JoinPath("api", url.PathEscape(service), "nativesso", "logout")
}

// Logout makes one call; see [Caller.Logout].
func (c *Client) Logout(ctx context.Context, serviceID, sessionID string) (Response, error) {
	caller := c.Caller(ctx)
	defer caller.Close()
	return caller.Logout(serviceID, sessionID)
}

// varying is what two failures of one kind differ in: a local address, the time at which a certificate was found to have expired.
var varying = regexp.MustCompile(`\S+->|current time \S+ is `)

// plain gives the same failure the same words each time, and a deadline is the timeout.
func (c *Client) plain(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return fmt.Errorf("no whole answer within %s", c.timeout)
	}
	if text := err.Error(); varying.MatchString(text) {
		return errors.New(varying.ReplaceAllString(text, ""))
	}
	return err
}

// forget closes the idle connections after a call that timed out, if nothing else was answered since it began: then a firewall or
// a gateway between may have dropped all connections without a word, and each of them would cost one more call its timeout.
func (c *Client) forget(ctx context.Context, answers int64) {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) && c.answers.Load() == answers {
		c.transport.CloseIdleConnections()
	}
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

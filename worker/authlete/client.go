// Package authlete is the client of Authlete's /nativesso/logout API.
package authlete

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
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
	userAgent []string
	token     *tokenSource
	transport *http.Transport
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
		userAgent: []string{"revoker/" + version},
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

// Logout asks the API to delete the tokens of a session, once. The error says why there is no whole answer: none came in
// time, the connection failed, or the body could not be read; in the last case the response has the status all the same.
// Neither holds the token, and the error does not hold the session ID.
func (c *Client) Logout(ctx context.Context, serviceID, sessionID string) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// The transport is called without an http.Client around it: no redirect is followed, no cookie kept.
	answer, err := c.transport.RoundTrip(c.request(ctx, c.endpoint(serviceID), sessionID))
	if err != nil {
		return Response{}, fmt.Errorf("calling the logout API: %w", c.plain(ctx, err))
	}
	defer answer.Body.Close()
	response := Response{Status: answer.StatusCode, RetryAfter: parseRetryAfter(answer.Header, time.Now())}
	body, err := readBody(answer)
	if err != nil {
		return response, fmt.Errorf("reading the logout API's answer: %w", c.plain(ctx, err))
	}
	if len(body) > maxBody {
		_, _ = io.CopyN(io.Discard, answer.Body, maxDrain)
		return response, fmt.Errorf("reading the logout API's answer: more than %d bytes", maxBody)
	}
	response.parseBody(body)
	if response.Status == http.StatusUnauthorized {
		c.token.refresh()
	}
	return response, nil
}

// readBody reads the body to its end, or maxBody + 1 bytes of it. Stopping at the announced length would let an HTTP/2
// stream be reset that is about to end by itself.
func readBody(answer *http.Response) ([]byte, error) {
	var body bytes.Buffer
	body.Grow(int(min(max(answer.ContentLength, 0), maxBody)) + bytes.MinRead)
	_, err := body.ReadFrom(io.LimitReader(answer.Body, maxBody+1))
	return body.Bytes(), err
}

// varying is what two failures of one kind differ in: a local address, the number of an HTTP/2 stream.
var varying = regexp.MustCompile(`\S+->|stream ID [0-9]+; |LastStreamID=[0-9]+, `)

// plain gives the same failure the same words each time, and a deadline is the timeout.
func (c *Client) plain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no whole answer within %s", c.timeout)
	}
	if text := err.Error(); varying.MatchString(text) {
		return errors.New(varying.ReplaceAllString(text, ""))
	}
	return err
}

// request builds one call. The nil Idempotency-Key sends no header; it tells net/http that the call may be sent again on
// another connection where a kept-alive one turns out to be closed, see http.Transport.
func (c *Client) request(ctx context.Context, endpoint *url.URL, sessionID string) *http.Request {
	body, _ := json.Marshal(struct { // a string always encodes
		SessionID string `json:"sessionId"`
	}{sessionID})
	request := &http.Request{
		Method:        http.MethodPost,
		URL:           endpoint,
		ProtoMajor:    1,
		ProtoMinor:    1,
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(bytes.NewReader(body)),
		GetBody:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
		Header: http.Header{
			"Accept":          {"application/json"},
			"Authorization":   {c.token.authorization(time.Now())},
			"Content-Type":    {"application/json"},
			"Idempotency-Key": nil,
			"User-Agent":      c.userAgent,
		},
	}
	return request.WithContext(ctx)
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

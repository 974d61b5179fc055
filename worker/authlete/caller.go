package authlete

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Caller makes calls one after the other. What they need again and again, the context with its timer and the buffer for the
// answer, is kept from one to the next, which is a tenth of what a call costs. It is for one goroutine.
type Caller struct {
	// Before, if not nil, is told of each request before it is sent, and may change its header.
	Before func(*http.Request)

	client *Client
	parent context.Context

	ctx    context.Context // of the call; nil before the first and after one that was cut off
	cancel context.CancelCauseFunc
	timer  *time.Timer // cancels ctx
	buffer bytes.Buffer
}

// Caller returns one whose calls end when ctx is done.
func (c *Client) Caller(ctx context.Context) *Caller { return &Caller{client: c, parent: ctx} }

// Logout asks the API to delete the tokens of a session, once. The error says why there is no whole answer: none came in
// time, the connection failed, or the body could not be read; in the last case the response has the status all the same.
// Neither holds the token, and the error does not hold the session ID.
func (c *Caller) Logout(serviceID, sessionID string) (Response, error) {
	return c.call(serviceID, encode(sessionID))
}

func (c *Caller) call(serviceID string, content []byte) (Response, error) {
	c.begin()
	defer c.end()
	request := c.client.request(c.ctx, serviceID, content)
	if c.Before != nil {
		request.Header = request.Header.Clone() // others share it
		c.Before(request)
	}
	answers := c.client.answers.Load()
	// The transport is called without an http.Client around it: no redirect is followed, no cookie kept.
	answer, err := c.client.transport.RoundTrip(request)
	if err != nil {
		c.client.forget(c.ctx, answers)
		return Response{}, fmt.Errorf("calling the logout API: %w", c.client.plain(c.ctx, err))
	}
	defer answer.Body.Close()
	c.client.answers.Add(1)
	response := Response{
		Status: answer.StatusCode, RetryAfter: parseRetryAfter(answer.Header, time.Now()), RateLimit: parseRateLimit(answer.Header),
	}
	body, err := c.read(answer)
	if err != nil {
		return response, fmt.Errorf("reading the logout API's answer: %w", c.client.plain(c.ctx, err))
	}
	if len(body) > maxBody {
		_, _ = io.CopyN(io.Discard, answer.Body, maxDrain)
		return response, fmt.Errorf("reading the logout API's answer: more than %d bytes", maxBody)
	}
	response.parseBody(body)
	if response.Status == http.StatusUnauthorized {
		c.client.token.refresh()
	}
	return response, nil
}

// begin arms the timer.
func (c *Caller) begin() {
	if c.ctx != nil {
		c.timer.Reset(c.client.timeout)
		return
	}
	ctx, cancel := context.WithCancelCause(c.parent)
	c.ctx, c.cancel = ctx, cancel
	c.timer = time.AfterFunc(c.client.timeout, func() { cancel(context.DeadlineExceeded) })
}

// end disarms the timer. A context that is done, or about to be, is given up.
func (c *Caller) end() {
	if !c.timer.Stop() || c.ctx.Err() != nil {
		c.Close()
	}
}

// Close frees what the calls needed.
func (c *Caller) Close() {
	if c.ctx != nil {
		c.timer.Stop()
		c.cancel(nil)
		c.ctx = nil
	}
}

// maxKept is the largest buffer that is kept for the next answer.
const maxKept = 4 << 10

// read reads the body to its end, or maxBody + 1 bytes of it; what it returns is overwritten by the next call.
func (c *Caller) read(answer *http.Response) ([]byte, error) {
	if c.buffer.Reset(); c.buffer.Cap() > maxKept {
		c.buffer = bytes.Buffer{}
	}
	_, err := c.buffer.ReadFrom(io.LimitReader(answer.Body, maxBody+1))
	return c.buffer.Bytes(), err
}

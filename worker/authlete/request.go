package authlete

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"revoker/events/jsonobject"
)

// newRequestBody wraps the content in types that net/http knows to be in memory; with any other it would send the header by
// itself first, in a system call of its own.
func newRequestBody(content []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(content)) }

// request builds one call.
func (c *Client) request(ctx context.Context, serviceID string, content []byte) *http.Request {
	request := &http.Request{
		Method:        http.MethodPost,
		URL:           c.endpoint(serviceID),
		ProtoMajor:    1,
		ProtoMinor:    1,
		ContentLength: int64(len(content)),
		Body:          newRequestBody(content),
		GetBody:       func() (io.ReadCloser, error) { return newRequestBody(content), nil },
		Header:        c.header(c.token.authorization(time.Now())),
	}
	return request.WithContext(ctx)
}

// encode is the body of a call.
func encode(sessionID string) []byte {
	const before, after = `{"sessionId":`, `}`
	content := append(make([]byte, 0, len(before)+len(sessionID)+len(`""`)+len(after)), before...)
	return append(jsonobject.AppendText(content, sessionID), after...)
}

// header returns the header of all calls with this Authorization; net/http only reads it. The nil Idempotency-Key sends no
// field; it tells net/http that the call may be sent again on another connection where a kept-alive one turns out to be
// closed, see http.Transport.
func (c *Client) header(authorization string) http.Header {
	if last := c.lastHeader.Load(); last != nil && last.Get("Authorization") == authorization {
		return *last
	}
	header := http.Header{
		"Accept":          {"application/json"},
		"Authorization":   {authorization},
		"Content-Type":    {"application/json"},
		"Idempotency-Key": nil,
		"User-Agent":      {c.userAgent},
	}
	c.lastHeader.Store(&header)
	return header
}

package authlete

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
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

// encode writes the body by hand where no character of the ID needs an escape.
func encode(sessionID string) []byte {
	const before, after = `{"sessionId":`, `}`
	content := make([]byte, 0, len(before)+len(sessionID)+len(`""`)+len(after))
	content = append(content, before...)
	if strings.ContainsFunc(sessionID, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		quoted, _ := json.Marshal(sessionID) // a string always encodes
		content = append(content, quoted...)
	} else {
		content = strconv.AppendQuote(content, sessionID)
	}
	return append(content, after...)
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

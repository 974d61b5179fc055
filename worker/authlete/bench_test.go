package authlete

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"revoker/config"
)

// cannedConn is a connection that gives the same answer to each request, so that a benchmark measures the client alone:
// no system calls, no server.
type cannedConn struct {
	net.Conn
	requests chan struct{}
	rest     []byte
}

const cannedBody = `{"action":"OK","count":2,"resultCode":"A503001","resultMessage":"[A503001] 2 access/refresh token record(s) deleted."}`

var cannedAnswer = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sun, 01 Mar 2026 12:00:00 GMT\r\nContent-Length: %d\r\n\r\n%s",
	len(cannedBody), cannedBody)

func newCannedConn() *cannedConn { return &cannedConn{requests: make(chan struct{}, 1)} }

func (c *cannedConn) Write(p []byte) (int, error) {
	if bytes.HasSuffix(p, []byte("}")) {
		c.requests <- struct{}{}
	}
	return len(p), nil
}

func (c *cannedConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if _, open := <-c.requests; !open {
			return 0, io.EOF
		}
		c.rest = []byte(cannedAnswer)
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (*cannedConn) Close() error                     { return nil }
func (*cannedConn) SetDeadline(time.Time) error      { return nil }
func (*cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (*cannedConn) SetWriteDeadline(time.Time) error { return nil }
func (*cannedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*cannedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// BenchmarkLogout compares a call with what net/http needs for one by itself.
func BenchmarkLogout(b *testing.B) {
	dial := func(context.Context, string, string) (net.Conn, error) { return newCannedConn(), nil }
	b.Run("revoker", func(b *testing.B) {
		cfg := config.Default()
		cfg.API = config.API{BaseURL: "http://127.0.0.1:1", ServiceID: "1234567890", Bearer: config.NewSecret("token")}
		c, err := New(cfg, "test")
		if err != nil {
			b.Fatal(err)
		}
		c.transport.DialContext = dial
		caller := c.Caller(b.Context())
		defer caller.Close()
		b.ReportAllocs()
		for b.Loop() {
			if r, err := caller.Logout("1234567890", "session-0123456789"); err != nil || r.Action != ActionOK {
				b.Fatal(r, err)
			}
		}
	})
	b.Run("net/http", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{DialContext: dial}}
		b.ReportAllocs()
		for b.Loop() {
			request, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:1/api/1234567890/nativesso/logout", strings.NewReader(`{"sessionId":"session-0123456789"}`))
			if err != nil {
				b.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer token")
			request.Header.Set("Content-Type", "application/json")
			response, err := client.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	})
}

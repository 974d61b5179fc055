package authlete

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	dialTimeout    = 5 * time.Second
	tlsTimeout     = 5 * time.Second
	tcpKeepAlive   = 15 * time.Second
	idleTimeout    = 90 * time.Second
	maxHeaderBytes = 64 << 10
)

// newTransport returns a transport that keeps one connection for each call in flight. It speaks HTTP/1.1 alone, where HTTP/2 would
// need a few connections: one that is lost then fails a hundred calls, which looks like an outage, instead of one or none. That is
// worth 10 MiB for 256 connections. Near the API HTTP/1.1 also makes more calls a second, and far from it as many; the CPU time
// differs little. See BenchmarkProtocol and BenchmarkLostConnection.
func newTransport(concurrency int) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: refusedByProxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    tlsTimeout,
		MaxIdleConns:           concurrency,
		MaxIdleConnsPerHost:    concurrency,
		MaxConnsPerHost:        concurrency,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true, // the answers are short
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              protocols,
	}
}

// refusedByProxy says which variables hold the proxy's credentials; net/http would say its status alone.
func refusedByProxy(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusProxyAuthRequired {
		return errors.New("the proxy asks for authentication (HTTP 407): look at HTTPS_PROXY and NO_PROXY")
	}
	return nil
}

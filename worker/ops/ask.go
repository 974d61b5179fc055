package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

const maxAnswer = 64 << 10 // bytes

// AskReady asks the worker that serves on addr, a REVOKER_OPS_ADDR, whether it is ready.
func AskReady(ctx context.Context, addr string) (Readiness, error) {
	status, body, err := ask(ctx, addr, "/readyz")
	if err != nil {
		return Readiness{}, err
	}
	var r Readiness
	if err := json.Unmarshal(body, &r); err != nil || len(r.Conditions) == 0 || r.Ready != (status == http.StatusOK) {
		return Readiness{}, fmt.Errorf("what answers on %s is not a revoker worker (HTTP %d)", addr, status)
	}
	return r, nil
}

// AskLive asks the worker that serves on addr whether it is alive; if not, the error says why.
func AskLive(ctx context.Context, addr string) error {
	status, body, err := ask(ctx, addr, "/livez")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %.200q", status, strings.TrimSpace(string(body)))
	}
	return err
}

func ask(ctx context.Context, addr, path string) (status int, body []byte, err error) {
	host, err := reachable(addr)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return 0, nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: the address is on this machine
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, nil, fmt.Errorf("asking %s: %w", host, err)
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return 0, nil, fmt.Errorf("reading the answer of %s: %w", host, err)
	}
	return response.StatusCode, body, nil
}

// reachable turns a listening address into one to connect to: all interfaces becomes loopback.
func reachable(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	switch {
	case addr == "":
		return "", errors.New("REVOKER_OPS_ADDR is empty, so there is no address to ask")
	case err != nil:
		return "", errors.New("REVOKER_OPS_ADDR: not an address such as 127.0.0.1:8080")
	case port == "0" || port == "":
		return "", errors.New("REVOKER_OPS_ADDR has no port to ask")
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}

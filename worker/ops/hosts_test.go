package ops

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"revoker/config"
)

func TestALoopbackListenerAnswersToLoopbackNames(t *testing.T) {
	t.Parallel()
	h := newHosts(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, []string{"revoker.example", " 10.9.8.7 ", "[fd00::7]"})
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8080": true, "LocalHost:1": true, "localhost.:8080": true, "127.0.0.1": true, "127.9.9.9:8080": true,
		"127.0.0.1.:8080": true, "[::1]:8080": true, "[::1]": true, "::1": true, "[::ffff:127.0.0.1]:8080": true, "[::1%25lo]:8080": true, "[::1%lo]": true,
		"revoker.example": true, "REVOKER.example.:80": true, "10.9.8.7:8080": true, "[fd00::7]:8080": true, "[FD00:0::7]": true,
		"": false, ":8080": false, ".": false, "evil.example": false, "evil.example:8080": false, "localhost.evil.example": false,
		"evil-localhost": false, "127.0.0.1.evil.example": false, "xrevoker.example": false, "10.9.8.8": false, "0.0.0.0:8080": false,
		"[fd00::8]": false, "[::]": false, "2130706433": false, "localhost:80:80": false, "localhost@evil.example": false,
	} {
		if got := h.allows(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
	if own := ownName(t); h.allows(own) {
		t.Errorf("%q, the machine's name, leads to no loopback address", own)
	}
	for _, address := range ownAddresses(t) {
		if got := h.allows(hostOf(address)); got != address.IsLoopback() {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestAnotherListenerAnswersToTheMachinesNamesToo(t *testing.T) {
	t.Parallel()
	for _, listener := range []string{"[::]:8080", "0.0.0.0:8080", "10.1.2.3:8080"} {
		h := newHosts(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(listener)), nil)
		for _, host := range []string{"localhost:8080", "127.0.0.1", ownName(t), strings.ToUpper(ownName(t)) + ".:80"} {
			if !h.allows(host) {
				t.Errorf("on %s: %q is refused", listener, host)
			}
		}
		for _, address := range ownAddresses(t) {
			for _, host := range []string{hostOf(address), hostOf(address) + ":8080"} {
				if !h.allows(host) && slices.Contains(ownAddresses(t), address) { // the machine may lose one at any time
					t.Errorf("on %s: %q is refused", listener, host)
				}
			}
		}
		for _, host := range []string{"", "evil.example", "203.0.113.77:8080", "[2001:db8::77]:8080", ownName(t) + ".evil.example"} {
			if h.allows(host) {
				t.Errorf("on %s: %q is allowed", listener, host)
			}
		}
	}
}

// A page of another site gets nothing of the console, whatever its name resolves to; probes and scrapes ask by any name.
func TestAnUnknownNameGetsNothingOfTheConsole(t *testing.T) {
	t.Parallel()
	base := listen(t, func(cfg *config.Config) { cfg.OpsPprof, cfg.OpsHosts = true, []string{"revoker.example"} })
	for path, method := range map[string]string{
		"/": "GET", "/console.js": "GET", "/console/feed": "GET", "/console/letters": "POST", "/console/letters/1": "GET",
		"/console/sign-in": "POST", "/console/sweep": "POST", "/debug/pprof/": "GET", "/debug/pprof/heap": "GET",
	} {
		status, body := asked(t, method, base+path, "evil.example")
		if status != http.StatusMisdirectedRequest || !strings.Contains(body, "REVOKER_OPS_HOSTS") {
			t.Errorf("%s %s: %d %s", method, path, status, body)
		}
	}
	for _, host := range []string{"revoker.example:8443", "localhost:9", ""} { // an empty one leaves the address
		if status, body := asked(t, "GET", base+"/", host); status != http.StatusOK {
			t.Errorf("asked as %q: %d %s", host, status, body)
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if status, _ := asked(t, "GET", base+path, "revoker.namespace.svc"); status == http.StatusMisdirectedRequest {
			t.Errorf("%s is refused to a probe", path)
		}
	}
}

// asked sends a request with a Host header of its own.
func asked(t *testing.T, method, url, host string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	return do(t, request)
}

func ownName(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func ownAddresses(t *testing.T) (list []netip.Addr) {
	t.Helper()
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range interfaces {
		list = append(list, netip.MustParsePrefix(a.String()).Addr())
	}
	return list
}

func hostOf(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

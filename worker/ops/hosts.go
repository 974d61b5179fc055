package ops

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// hosts holds the names under which browsers may open the console page. Without this check a page of evil.example could read
// the console. Its owner makes evil.example resolve to this listener's address (DNS rebinding). The browser then takes the
// console for a part of that site. The Host header still says evil.example.
//
// The check guards what browsers open: the page, its data and Go's profiles. The paths /livez, /readyz and /metrics answer to
// any name. Kubelets and Prometheus use pod addresses and Service names that the worker does not know. These paths reveal no
// session, no payload and no token.
type hosts struct {
	loopbackOnly bool // only this machine can reach the listener
	names        []string
	addresses    []netip.Addr
}

// newHosts returns the hosts of a listener. configured are the values of REVOKER_OPS_HOSTS.
func newHosts(listener net.Addr, configured []string) *hosts {
	h := &hosts{names: []string{"localhost"}}
	if at, err := netip.ParseAddrPort(listener.String()); err == nil {
		h.loopbackOnly = at.Addr().Unmap().IsLoopback()
	}
	for _, host := range configured {
		h.add(strings.TrimSpace(host))
	}
	if own, err := os.Hostname(); err == nil && !h.loopbackOnly {
		h.add(own)
	}
	return h
}

func (h *hosts) add(host string) {
	name, address := parseHost(host)
	if address.IsValid() {
		h.addresses = append(h.addresses, address)
	} else if name != "" {
		h.names = append(h.names, name)
	}
}

// guard answers requests for other names with 421 Misdirected Request (RFC 9110, section 15.5.20).
func (h *hosts) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.allows(r.Host) {
			http.Error(w, "This worker does not answer under this name. If the name is right, add it to REVOKER_OPS_HOSTS.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allows reports whether a Host header names this listener. It ignores the port, because port forwarding changes it.
func (h *hosts) allows(header string) bool {
	name, address := parseHost(header)
	if !address.IsValid() {
		return name != "" && slices.Contains(h.names, name)
	}
	return address.IsLoopback() || slices.Contains(h.addresses, address) || !h.loopbackOnly && ownAddress(address)
}

// ownAddress reports whether an interface of this machine has the address. It asks each time, because addresses change.
func ownAddress(address netip.Addr) bool {
	interfaces, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap().WithZone("") == address
	})
}

// parseHost returns the name in a Host header, in lower case and without a final dot, or the address without its zone. If the
// header has neither, the name is empty and the address invalid.
func parseHost(header string) (name string, address netip.Addr) {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
	if zone := strings.Index(host, "%25"); zone >= 0 { // as a URL writes a zone: RFC 6874
		host = host[:zone]
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return "", address.Unmap().WithZone("")
	}
	return strings.ToLower(host), netip.Addr{}
}

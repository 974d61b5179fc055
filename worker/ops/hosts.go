package ops

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// hosts are the names under which browsers may open the console page. Without them a page of evil.example could read the
// console: its owner lets evil.example resolve to this listener's address (DNS rebinding), and then the browser takes the
// console for a part of that page's own site. All that such a browser can't change is the name in the Host header.
//
// Only what is meant for a browser is guarded: the page, its data and Go's profiles. The addresses /livez, /readyz and
// /metrics answer to any name. Kubelets and Prometheus ask for them by pod addresses and Service names that the worker does
// not know, and they tell no session, no payload and no token.
type hosts struct {
	loopbackOnly bool // the listener is reached from this machine alone
	names        []string
	addresses    []netip.Addr
}

// newHosts returns those of a listener: configured are the values of REVOKER_OPS_HOSTS.
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
			answer(w, http.StatusMisdirectedRequest, failure{"This worker does not know the name by which it was asked. If that name is right, add it to REVOKER_OPS_HOSTS."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allows reports whether a Host header names this listener. Its port says nothing: a forwarded one is another.
func (h *hosts) allows(header string) bool {
	name, address := parseHost(header)
	if !address.IsValid() {
		return name != "" && slices.Contains(h.names, name)
	}
	return address.IsLoopback() || slices.Contains(h.addresses, address) || !h.loopbackOnly && ownAddress(address)
}

// ownAddress reports whether an interface of this machine has the address. They are asked for each time, for they change.
func ownAddress(address netip.Addr) bool {
	interfaces, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(interfaces, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap().WithZone("") == address
	})
}

// parseHost splits a Host header into the name in lower case, without its last dot, or the address, without its zone.
// Neither is valid where the header has none.
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

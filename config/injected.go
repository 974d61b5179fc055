package config

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// injectedShapes are the variables that Kubernetes sets in every pod beside a Service called revoker, or revoker-eu and the
// like: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
// Each has a pattern of the name, and a test of the value that is given the pattern's submatches.
var injectedShapes = []struct {
	name  *regexp.Regexp
	value func(value string, parts []string) bool
}{
	{shape(`SERVICE_HOST`), func(value string, _ []string) bool { return isAddress(value) }},
	{shape(`SERVICE_PORT(?:_[A-Z0-9_]+)?`), func(value string, _ []string) bool { return isPort(value) || isPortName(value) }},
	{shape(`PORT`), func(value string, _ []string) bool {
		protocol, _, _ := strings.Cut(value, "://")
		return slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) && isEndpoint(value, protocol, "")
	}},
	{shape(`PORT_(\d+)_(TCP|UDP|SCTP)`), func(value string, parts []string) bool {
		return isEndpoint(value, strings.ToLower(parts[1]), parts[0])
	}},
	{shape(`PORT_\d+_(TCP|UDP|SCTP)_PROTO`), func(value string, parts []string) bool { return value == strings.ToLower(parts[0]) }},
	{shape(`PORT_(\d+)_(?:TCP|UDP|SCTP)_PORT`), func(value string, parts []string) bool { return value == parts[0] && isPort(value) }},
	{shape(`PORT_\d+_(?:TCP|UDP|SCTP)_ADDR`), func(value string, _ []string) bool { return isAddress(value) }},
}

func shape(ending string) *regexp.Regexp {
	return regexp.MustCompile(`^` + Prefix + `(?:[A-Z0-9_]+_)?` + ending + `$`)
}

// injected reports whether Kubernetes may have set the variable. The value must be of the right shape too, or typos would
// pass; an empty one is how somebody turns such a variable off.
func injected(name, value string) bool {
	for _, s := range injectedShapes {
		if match := s.name.FindStringSubmatch(name); match != nil && (value == "" || s.value(value, match[1:])) {
			return true
		}
	}
	return false
}

// isEndpoint reports whether a value is protocol://address:port; any port where port is empty.
func isEndpoint(value, protocol, port string) bool {
	endpoint, found := strings.CutPrefix(value, protocol+"://")
	host, have, err := net.SplitHostPort(endpoint)
	return found && err == nil && isAddress(host) && isPort(have) && (port == "" || port == have)
}

func isAddress(value string) bool {
	_, err := netip.ParseAddr(value)
	return err == nil
}

func isPort(value string) bool {
	n, err := strconv.ParseUint(value, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == value
}

// portName is a port's name as Kubernetes allows it; one letter at least is in it.
var portName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$`)

func isPortName(value string) bool {
	return portName.MatchString(value) && strings.ContainsAny(value, "abcdefghijklmnopqrstuvwxyz")
}

package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind says what a value of the variable's type looks like.
func (v variable) kind() string {
	switch v.value.Interface().(type) {
	case time.Duration:
		return "a duration such as 500ms, 10s or 6h"
	case Objective:
		return "an objective such as 99% within 5s"
	case slog.Level:
		return "debug, info, warn or error"
	}
	switch v.value.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	}
	return "text"
}

// checkRange holds a number or a duration against its declared range.
func (v variable) checkRange() error {
	low, high := v.tag.Get("min"), v.tag.Get("max")
	if low == "" || high == "" {
		return nil
	}
	var inside bool
	switch x := v.value.Interface().(type) {
	case time.Duration:
		inside = between(x, must(time.ParseDuration(low)), must(time.ParseDuration(high)))
	case int:
		inside = between(x, must(strconv.Atoi(low)), must(strconv.Atoi(high)))
	case float64:
		inside = between(x, must(strconv.ParseFloat(low, 64)), must(strconv.ParseFloat(high, 64)))
	}
	if !inside {
		return fmt.Errorf("%s: must be from %s to %s", v.name, low, high)
	}
	return nil
}

func between[T cmp.Ordered](x, low, high T) bool { return low <= x && x <= high }

// must is for the literals in config.go's own tags.
func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

// validate checks what a single value's type and range can't say, for every command.
func (c Config) validate() []error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, name := range []struct{ variable, value string }{
		{"REVOKER_STREAM", c.Stream}, {"REVOKER_CONSUMER", c.Consumer}, {"REVOKER_BULK_CONSUMER", c.BulkConsumer},
		{"REVOKER_DEAD_LETTER_STREAM", c.DeadLetterStream}, {"REVOKER_RECEIPT_STREAM", c.ReceiptStream},
	} {
		refuse(!validName(name.value), "%s: a JetStream name has no spaces, dots, wildcards or slashes", name.variable)
	}
	refuse(c.Stream == c.DeadLetterStream, "REVOKER_DEAD_LETTER_STREAM: must differ from REVOKER_STREAM")
	refuse(!validSubject(c.Subject), "REVOKER_SUBJECT: not a NATS subject")
	refuse(!validSubject(c.DeadLetterSubject) || HasWildcard(c.DeadLetterSubject),
		"REVOKER_DEAD_LETTER_SUBJECT: not a NATS subject without wildcards")
	refuse(SubjectMatches(c.Subject, c.DeadLetterSubject),
		"REVOKER_DEAD_LETTER_SUBJECT: REVOKER_SUBJECT matches it, so dead letters would be taken for events")
	if c.BulkSubject != "" {
		errs = append(errs, c.validateBulk()...)
	}
	errs = append(errs, c.validateReceipts()...)
	refuse(!slices.Contains([]string{"limits", "interest", "workqueue"}, c.Retention),
		"REVOKER_RETENTION: not limits, interest or workqueue")
	refuse(!slices.Contains([]string{"json", "text"}, c.LogFormat), "REVOKER_LOG_FORMAT: not json or text")
	refuse(c.MaxAckPending < c.Concurrency, "REVOKER_MAX_ACK_PENDING: must be at least REVOKER_CONCURRENCY")
	refuse(c.RetryMaxInterval < c.RetryInitialInterval,
		"REVOKER_RETRY_MAX_INTERVAL: must be at least REVOKER_RETRY_INITIAL_INTERVAL")
	refuse(c.BreakerMaxProbeInterval < c.BreakerProbeInterval,
		"REVOKER_BREAKER_MAX_PROBE_INTERVAL: must be at least REVOKER_BREAKER_PROBE_INTERVAL")
	refuse(!c.Objective.valid(), "REVOKER_OBJECTIVE: must be from %v%% to %v%%, within 10ms to 24h", minPercent, maxPercent)
	if c.OpsAddr != "" {
		_, _, err := net.SplitHostPort(c.OpsAddr)
		refuse(err != nil, "REVOKER_OPS_ADDR: not a host:port address")
	}
	refuse(slices.ContainsFunc(c.OpsHosts, func(host string) bool { return !validHost(host) }),
		"REVOKER_OPS_HOSTS: must be host names or IP addresses, comma-separated, without a scheme, port or wildcard")
	token := c.ConsoleToken.Reveal()
	refuse(token != "" && len(token) < minConsoleToken, "REVOKER_CONSOLE_TOKEN: must have at least %d characters", minConsoleToken)
	return append(errs, c.NATS.validate()...)
}

// validateReceipts looks at the rules between the receipts' names and the others only if receipts are on: an installation without
// them may have used the names otherwise.
func (c Config) validateReceipts() []error {
	if !validSubject(c.ReceiptSubject) || HasWildcard(c.ReceiptSubject) {
		return []error{errors.New("REVOKER_RECEIPT_SUBJECT: not a NATS subject without wildcards")}
	}
	if !c.Receipts {
		return nil
	}
	var errs []error
	for _, other := range []struct{ variable, stream string }{{"REVOKER_STREAM", c.Stream}, {"REVOKER_DEAD_LETTER_STREAM", c.DeadLetterStream}} {
		if c.ReceiptStream == other.stream {
			errs = append(errs, fmt.Errorf("REVOKER_RECEIPT_STREAM: must differ from %s", other.variable))
		}
	}
	for _, other := range []struct{ variable, subject string }{
		{"REVOKER_SUBJECT", c.Subject}, {"REVOKER_BULK_SUBJECT", c.BulkSubject}, {"REVOKER_DEAD_LETTER_SUBJECT", c.DeadLetterSubject},
	} {
		if receipts := c.ReceiptSubject + ".*"; SubjectMatches(other.subject, receipts) || SubjectMatches(receipts, other.subject) {
			errs = append(errs, fmt.Errorf("REVOKER_RECEIPT_SUBJECT: the receipts' subjects and %s overlap, so one would be taken for the other", other.variable))
		}
	}
	return errs
}

// validName reports whether s can be the name of a stream or a consumer.
func validName(s string) bool { return s != "" && !strings.ContainsAny(s, " \t\r\n.*>/\\") }

// validHost reports whether a browser could send the text as the host part of a Host header. Spaces around it are allowed,
// for a list is often written with them.
func validHost(host string) bool {
	host = strings.TrimSpace(host)
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	const others = "-._" // beside letters and digits; browsers send a name of other letters in its xn-- form
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(others, r))
	})
}

// minConsoleToken keeps a token from being guessed.
const minConsoleToken = 16

func (n NATS) validate() []error {
	var errs []error
	refuse := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New(text))
		}
	}
	if err := n.URL.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("NATS_URL: %w", err))
	}
	refuse((n.User == "") != n.Password.IsZero(), "NATS_USER, NATS_PASSWORD: set both or none; a token goes into NATS_TOKEN")
	refuse((n.Cert == "") != (n.Key == ""), "NATS_CERT, NATS_KEY: set both or none")
	ways := 0
	for _, set := range []bool{n.Creds != "", n.NKey != "", n.User != "", !n.Token.IsZero()} {
		if set {
			ways++
		}
	}
	refuse(ways > 1, "NATS_CREDS, NATS_NKEY, NATS_USER, NATS_TOKEN: set one way to authenticate, not several")
	for _, file := range []struct{ variable, path string }{
		{"NATS_CREDS", n.Creds}, {"NATS_NKEY", n.NKey}, {"NATS_CA", n.CA}, {"NATS_CERT", n.Cert}, {"NATS_KEY", n.Key},
	} {
		errs = append(errs, readable(file.variable, file.path))
	}
	return errs
}

// ValidateAPI checks what a command needs that calls the logout API, and returns all it finds.
func (c Config) ValidateAPI() error {
	var errs []error
	errs = append(errs, c.API.validateBaseURL())
	if c.API.ServiceID == "" {
		errs = append(errs, errors.New("AUTHLETE_SERVICE_ID: required"))
	}
	for _, list := range []struct {
		variable string
		ids      []string
	}{
		{"AUTHLETE_SERVICE_ID", []string{c.API.ServiceID}}, {"REVOKER_ALLOWED_SERVICE_IDS", c.API.AllowedServiceIDs},
	} {
		// A dot segment would be resolved away on its road to the API, and the token sent to another path.
		if slices.ContainsFunc(list.ids, func(id string) bool { return id == "." || id == ".." || !printable(id) }) {
			errs = append(errs, fmt.Errorf("%s: not a service ID", list.variable))
		}
	}
	switch file := c.API.BearerFile; {
	case c.API.Bearer.IsZero() && file == "":
		errs = append(errs, errors.New("AUTHLETE_BEARER: required, or AUTHLETE_BEARER_FILE"))
	case !c.API.Bearer.IsZero() && file != "":
		errs = append(errs, errors.New("AUTHLETE_BEARER, AUTHLETE_BEARER_FILE: set one of them, not both"))
	case file != "":
		errs = append(errs, readable("AUTHLETE_BEARER_FILE", file))
	case !printable(c.API.Bearer.Reveal()):
		errs = append(errs, errors.New("AUTHLETE_BEARER: a token has no spaces, line ends or other control characters"))
	}
	return errors.Join(errs...)
}

func (a API) validateBaseURL() error {
	if a.BaseURL == "" {
		return errors.New("AUTHLETE_BASE_URL: required; https://us.authlete.com for example")
	}
	base, err := url.Parse(a.BaseURL)
	switch {
	case err != nil || base.Hostname() == "" || (base.Scheme != "https" && base.Scheme != "http"):
		return errors.New("AUTHLETE_BASE_URL: not an https:// URL with a host")
	case base.User != nil || strings.ContainsAny(a.BaseURL, "?#"):
		return errors.New("AUTHLETE_BASE_URL: must have no user, query or fragment")
	case strings.Contains(base.Path, "/nativesso/"):
		return errors.New("AUTHLETE_BASE_URL: must be what stands before /api/{service ID}/nativesso/logout, https://us.authlete.com for example")
	case base.Scheme == "http" && !Loopback(base.Hostname()) && !a.AllowInsecureHTTP:
		return errors.New("AUTHLETE_BASE_URL: http:// would send the token and session IDs in clear; use https://, or set REVOKER_ALLOW_INSECURE_HTTP=true")
	}
	return nil
}

// Loopback reports whether host can only be this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// printable reports whether s can stand in a header line or a path segment: no space, no control character, ASCII.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

const redacted = "[redacted]"

// Secret is a value that must never be printed. Every way of formatting it, by fmt with any verb, by encoding/json and
// by log/slog, gives a placeholder; only [Secret.Reveal] gives the value.
type Secret struct {
	// A pointer, since fmt asks no method of a value in an unexported field or under a verb that it takes for a mistake
	// (%p, %w), and prints what it finds there.
	value *string
}

// NewSecret wraps value.
func NewSecret(value string) Secret { return Secret{&value} }

// Reveal returns the value itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// UnmarshalText sets the value; envconfig calls it.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// String returns the placeholder, or nothing for no value.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format writes the placeholder whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText returns the placeholder, for encoding/json among others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns the placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// ServerURLs is a comma-separated list of NATS server URLs, each of which may carry a user, a password or a token. It
// prints without them; only [ServerURLs.Reveal] gives them all.
type ServerURLs struct{ urls Secret }

// NewServerURLs wraps a comma-separated list.
func NewServerURLs(urls string) ServerURLs { return ServerURLs{NewSecret(urls)} }

// Reveal returns the list with its credentials.
func (u ServerURLs) Reveal() string { return u.urls.Reveal() }

// IsZero reports whether the list is empty.
func (u ServerURLs) IsZero() bool { return u.urls.IsZero() }

// Validate refuses what nats.go could not dial. Its error quotes nothing.
func (u ServerURLs) Validate() error {
	for raw := range strings.SplitSeq(u.Reveal(), ",") {
		if raw = strings.TrimSpace(raw); raw == "" {
			continue
		}
		if _, err := parseServer(raw); err != nil {
			return errors.New("not a list of server URLs such as nats://127.0.0.1:4222; a password's special characters must be percent-encoded")
		}
	}
	return nil
}

// UnmarshalText sets the list; envconfig calls it.
func (u *ServerURLs) UnmarshalText(text []byte) error { return u.urls.UnmarshalText(text) }

// String returns the list with the user information of each URL replaced. A URL is replaced whole where it can't be told
// which part that is.
func (u ServerURLs) String() string {
	list := strings.Split(u.Reveal(), ",")
	for i, raw := range list {
		list[i] = shown(strings.TrimSpace(raw))
	}
	return strings.Join(list, ",")
}

func shown(raw string) string {
	if raw == "" {
		return ""
	}
	server, err := parseServer(raw)
	switch {
	case err != nil:
		return redacted
	case server.User != nil:
		return server.Scheme + "://" + redacted + "@" + server.Host
	}
	return server.Scheme + "://" + server.Host
}

// parseServer reads one server's URL as nats.go does, which needs no scheme. It refuses an @ after the host: that is a
// token or a password with a bare slash, ? or #, of which the first part would be taken for the host.
func parseServer(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		raw = "nats://" + raw
	}
	server, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	if server.Hostname() == "" || strings.Contains(server.Path+server.RawQuery+server.Fragment, "@") {
		return nil, errors.New("no host, or an @ after it")
	}
	return server, nil
}

// Format writes what String returns, whatever the verb.
func (u ServerURLs) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// MarshalText returns what String returns.
func (u ServerURLs) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue returns what String returns.
func (u ServerURLs) LogValue() slog.Value { return slog.StringValue(u.String()) }

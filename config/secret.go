package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

const redacted = "[redacted]"

// Secret is a value that must never be printed. Every way of formatting it, by fmt with any verb, by encoding/json and
// by log/slog, gives a placeholder; only [Secret.Reveal] gives the value.
type Secret struct{ value string }

// NewSecret wraps value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value itself.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

// UnmarshalText sets the value; envconfig calls it.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
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

// UnmarshalText sets the list; envconfig calls it.
func (u *ServerURLs) UnmarshalText(text []byte) error { return u.urls.UnmarshalText(text) }

// String returns the list with the user information of each URL replaced. A URL that can't be parsed is replaced whole.
func (u ServerURLs) String() string {
	if u.IsZero() {
		return ""
	}
	list := strings.Split(u.Reveal(), ",")
	for i, raw := range list {
		raw = strings.TrimSpace(raw)
		if !strings.Contains(raw, "@") {
			list[i] = raw
			continue
		}
		parsed, err := url.Parse(raw)
		if err != nil || parsed.Host == "" {
			list[i] = redacted
			continue
		}
		parsed.User = nil
		list[i] = parsed.Scheme + "://" + redacted + "@" + parsed.Host
	}
	return strings.Join(list, ",")
}

// Format writes what String returns, whatever the verb.
func (u ServerURLs) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// MarshalText returns what String returns.
func (u ServerURLs) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue returns what String returns.
func (u ServerURLs) LogValue() slog.Value { return slog.StringValue(u.String()) }

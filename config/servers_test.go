package config_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"revoker/config"
)

func TestServerURLsShowTheirHosts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ urls, want string }{
		"none":                 {"", ""},
		"no credentials":       {"nats://one.example:4222", "nats://one.example:4222"},
		"user and password":    {"nats://alice:" + password + "@one.example:4222", "nats://[redacted]@one.example:4222"},
		"token":                {"nats://" + password + "@one.example", "nats://[redacted]@one.example"},
		"several, with spaces": {"nats://a, tls://b:1 ,nats://u:" + password + "@c", "nats://a,tls://b:1,nats://[redacted]@c"},
		"IPv6":                 {"nats://" + password + "@[::1]:4222", "nats://[redacted]@[::1]:4222"},
		"escaped characters":   {"nats://u:" + password + "%2F%40@a:1", "nats://[redacted]@a:1"},
		"without a scheme":     {"alice:" + password + "@one.example:4222", "nats://[redacted]@one.example:4222"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			urls := config.NewServerURLs(c.urls)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				if got := fmt.Sprintf(verb, urls); got != c.want {
					t.Errorf("%s: got %s, want %s", verb, got, c.want)
				}
			}
			if got := urls.LogValue().String(); got != c.want {
				t.Errorf("slog: got %s, want %s", got, c.want)
			}
			if got, err := json.Marshal(urls); err != nil || string(got) != `"`+c.want+`"` {
				t.Errorf("JSON: got %s, %v, want %s", got, err, c.want)
			}
			if urls.Reveal() != c.urls || urls.IsZero() != (c.urls == "") {
				t.Errorf("revealed as %q, zero: %v", urls.Reveal(), urls.IsZero())
			}
		})
	}
}

// A log may be written before the configuration is found wrong, so a part that can't be parsed excuses nothing.
func TestServerURLsConcealWhatTheyCannotParse(t *testing.T) {
	t.Parallel()
	for name, urls := range map[string]string{
		"a bracket that is not closed":   "nats://u:" + password + "@[::1",
		"a port that is not a number":    "nats://u:" + password + "@a:b",
		"a password with a bare percent": "nats://u:" + password + "%@a",
		"a password with a comma":        "nats://u:" + password + ",x@a",
		"a password with a slash":        "nats://u:" + password + "/x@a",
		"a token with a slash":           "nats://" + password + "/x@a",
		"a token with a question mark":   "nats://" + password + "?x@a",
		"a token with a hash":            "nats://" + password + "#x@a",
		"a token in two parts":           "nats://x@" + password + "/x@a",
		"a password in a query":          "wss://a:443/?token=" + password,
		"a control character":            "nats://u:" + password + "@a\x7f",
		"no host":                        "nats://u:" + password + "@",
		"one of several":                 "nats://a,u:" + password + "@[b",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := config.NewServerURLs(urls).String()
			conceals(t, "String", shown)
			if !strings.Contains(shown, "[redacted]") && !strings.Contains(shown, "a:443") {
				t.Errorf("got %q, which does not say that something is hidden", shown)
			}
		})
	}
}

func TestServerURLsShowTheGoodBesideTheBad(t *testing.T) {
	t.Parallel()
	urls := config.NewServerURLs("nats://a:1,nats://u:" + password + "@[b,nats://c:3")
	if got, want := urls.String(), "nats://a:1,[redacted],nats://c:3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

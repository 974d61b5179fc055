package config_test

import (
	"errors"
	"strings"
	"testing"

	"revoker/config"
)

// A flag wins over the environment. A context replaces all of it: no other cluster may get the credentials that are set for this
// one, and what is wrong with them is no longer a fault.
func TestOverrides(t *testing.T) {
	for name, c := range map[string]struct {
		override    config.Override
		url, naming string
		password    bool
		refused     string
	}{
		"nothing":      {config.Override{}, "nats://env:4222", "env", true, "NATS_CA"},
		"a server":     {config.Override{Server: "nats://flag:4222"}, "nats://flag:4222", "env", true, "NATS_CA"},
		"a context":    {config.Override{Context: "flag"}, "", "flag", false, ""},
		"both":         {config.Override{Server: "nats://flag:4222", Context: "flag"}, "nats://flag:4222", "flag", false, ""},
		"a bad server": {config.Override{Server: "nats://u:" + marker + "@", Context: "flag"}, "", "flag", false, "NATS_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			setEnvironment(t, map[string]string{
				"NATS_URL": "nats://env:4222", "NATS_CONTEXT": "env", "NATS_USER": "u", "NATS_PASSWORD": marker, "NATS_CA": "/none", "NATS_INBOX_PREFIX": "_INBOX_u",
			})
			cfg, err := config.Load(c.override)
			if c.refused != "" {
				onlyNames(t, err, c.refused)
			} else if err != nil {
				t.Error(err)
			}
			n := cfg.NATS
			if c.refused != "NATS_URL" && n.URL.Reveal() != c.url || n.Context != c.naming || n.Password.IsZero() == c.password || (n.InboxPrefix == "") == c.password {
				t.Errorf("got %+v", n)
			}
		})
	}
}

// Where the variables are described is said once, however many are wrong.
func TestTheHintIsGivenOnce(t *testing.T) {
	setEnvironment(t, map[string]string{"REVOKER_A": "1", "REVOKER_B": "1", "REVOKER_C": "1"})
	_, loading := config.Load()
	err := config.Invalid(loading)
	if n := strings.Count(err.Error(), "revoker run --help"); n != 1 {
		t.Errorf("%d hints in:\n%v", n, err)
	}
	if !errors.Is(err, config.ErrInvalid) || errors.Unwrap(err) != loading || config.Invalid(nil) != nil {
		t.Errorf("got %v", err)
	}
}

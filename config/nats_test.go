package config_test

import (
	"testing"

	"revoker/config"
)

const ways = "NATS_CREDS, NATS_NKEY, NATS_USER, NATS_TOKEN"

func TestAuthenticationToNATS(t *testing.T) {
	file := files(t, "creds", "nkey", "ca", "cert", "key")
	for name, c := range map[string]struct {
		environment map[string]string
		refused     string
	}{
		"user and password":     {map[string]string{"NATS_USER": "u", "NATS_PASSWORD": marker}, ""},
		"user without password": {map[string]string{"NATS_USER": marker}, "NATS_USER, NATS_PASSWORD"},
		"password without user": {map[string]string{"NATS_PASSWORD": marker}, "NATS_USER, NATS_PASSWORD"},
		"creds and token":       {map[string]string{"NATS_CREDS": file + "creds", "NATS_TOKEN": marker}, ways},
		"creds and NKey":        {map[string]string{"NATS_CREDS": file + "creds", "NATS_NKEY": file + "nkey"}, ways},
		"NKey and user":         {map[string]string{"NATS_NKEY": file + "nkey", "NATS_USER": "u", "NATS_PASSWORD": marker}, ways},
		"token and user":        {map[string]string{"NATS_TOKEN": marker, "NATS_USER": "u", "NATS_PASSWORD": marker}, ways},
		"token and certificate": {map[string]string{"NATS_TOKEN": marker, "NATS_CERT": file + "cert", "NATS_KEY": file + "key"}, ""},
		"certificate, no key":   {map[string]string{"NATS_CERT": file + "cert"}, "NATS_CERT, NATS_KEY"},
		"key, no certificate":   {map[string]string{"NATS_KEY": file + "key"}, "NATS_CERT, NATS_KEY"},
		"authorities":           {map[string]string{"NATS_CA": file + "ca"}, ""},
	} {
		t.Run(name, func(t *testing.T) { check(t, c.environment, c.refused) })
	}
}

func TestFilesThatCannotBeReadAreRefused(t *testing.T) {
	directory := t.TempDir()
	there := files(t, "there") + "there"
	for name, companion := range map[string]string{
		"NATS_CREDS": "", "NATS_NKEY": "", "NATS_CA": "", "NATS_CERT": "NATS_KEY", "NATS_KEY": "NATS_CERT",
	} {
		for _, path := range []string{directory, directory + "/none", marker} {
			t.Run(name, func(t *testing.T) {
				environment := map[string]string{name: path}
				if companion != "" {
					environment[companion] = there
				}
				check(t, environment, name)
			})
		}
	}
}

func TestServerURLs(t *testing.T) {
	for name, c := range map[string]struct{ urls, refused string }{
		"one":                            {"nats://127.0.0.1:4222", ""},
		"several, with spaces":           {"nats://a:4222, tls://b:4222", ""},
		"without a scheme":               {"a:4222,b", ""},
		"over WebSocket":                 {"wss://a:443", ""},
		"IPv6":                           {"nats://[::1]:4222", ""},
		"with a password":                {"nats://u:" + marker + "@a:4222", ""},
		"a password without a scheme":    {"u:" + marker + "@a:4222", ""},
		"no host":                        {"nats://", "NATS_URL"},
		"a password, no host":            {"nats://u:" + marker + "@", "NATS_URL"},
		"a port that is not a number":    {"nats://u:" + marker + "@a:b", "NATS_URL"},
		"a bracket that is not closed":   {"nats://u:" + marker + "@[::1", "NATS_URL"},
		"a password with a bare percent": {"nats://u:" + marker + "%@a", "NATS_URL"},
		"a password with a comma":        {"nats://u:" + marker + ",x@a", "NATS_URL"},
		"a control character":            {"nats://u:" + marker + "@a\x7f", "NATS_URL"},
		"the second one is wrong":        {"nats://a,nats://u:" + marker + "@[b", "NATS_URL"},
	} {
		t.Run(name, func(t *testing.T) { check(t, map[string]string{"NATS_URL": c.urls}, c.refused) })
	}
}

// A token with a bare slash would otherwise be cut: what stands before the slash would be dialled, and logged, as a host.
func TestCredentialsThatCutTheURLAreRefused(t *testing.T) {
	for _, character := range []string{"/", "?", "#"} {
		urls := "nats://" + marker + character + "x@a:4222"
		t.Run(character, func(t *testing.T) { check(t, map[string]string{"NATS_URL": urls}, "NATS_URL") })
	}
}

func TestTheConnectionNeedsNoSetting(t *testing.T) {
	setEnvironment(t, nil)
	cfg, err := config.Load()
	if err != nil || !cfg.NATS.URL.IsZero() {
		t.Errorf("got %v, %v", cfg.NATS.URL, err)
	}
}

package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"revoker/config"
)

// verbs has mistaken ones too, for fmt shows the value in its complaint. The last takes no argument.
var verbs = []string{
	"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%b", "%o", "%c", "%t", "%e", "%U", "%w", "%p", "%z", "%10.3s", "%T", "none",
}

const (
	password = "hunter2-s3cr3t"
	servers  = "nats://alice:" + password + "@one.example:4222,nats://" + password + "@two.example,tls://three.example:4222"
)

// confidential returns a configuration in which every secret is set.
func confidential() config.Config {
	cfg := config.Default()
	cfg.NATS.URL = config.NewServerURLs(servers)
	cfg.NATS.Password, cfg.NATS.Token = config.NewSecret(password), config.NewSecret(password)
	cfg.API.Bearer = config.NewSecret(password)
	return cfg
}

// holders has the secrets in every place from which they may be printed by mistake.
func holders() map[string]any {
	type exported struct {
		Token   config.Secret
		Servers config.ServerURLs
	}
	type pointers struct {
		Token   *config.Secret
		Servers *config.ServerURLs
	}
	type unexported struct {
		token   config.Secret
		servers config.ServerURLs
		cfg     config.Config
	}
	secret, urls, cfg := config.NewSecret(password), config.NewServerURLs(servers), confidential()
	return map[string]any{
		"secret":                  secret,
		"pointer to a secret":     &secret,
		"URLs":                    urls,
		"pointer to URLs":         &urls,
		"struct":                  exported{secret, urls},
		"pointer to a struct":     &exported{secret, urls},
		"struct of pointers":      pointers{&secret, &urls},
		"slice":                   []config.Secret{secret},
		"map":                     map[string]any{"secret": secret, "urls": urls},
		"any":                     []any{secret, urls, cfg},
		"Config":                  cfg,
		"pointer to Config":       &cfg,
		"NATS":                    cfg.NATS,
		"API":                     cfg.API,
		"unexported fields":       unexported{secret, urls, cfg},
		"pointer to the same":     &unexported{secret, urls, cfg},
		"pointer in a field":      struct{ Inner *config.Config }{&cfg},
		"unexported pointer":      struct{ inner *config.Config }{&cfg},
		"unexported in interface": struct{ inner any }{cfg},
	}
}

func TestNoVerbPrintsASecret(t *testing.T) {
	t.Parallel()
	for name, holder := range holders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range verbs {
				conceals(t, verb, fmt.Sprintf(verb, holder))
			}
			conceals(t, "Sprint", fmt.Sprint(holder))
			conceals(t, "Sprintln", fmt.Sprintln("x", holder))
			conceals(t, "an error", fmt.Errorf("reading: %v", holder).Error())
		})
	}
}

func TestNoEncodingPrintsASecret(t *testing.T) {
	t.Parallel()
	for name, holder := range holders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(holder)
			if err != nil {
				t.Fatal(err)
			}
			conceals(t, "JSON", string(text))
			conceals(t, "slog", logged(holder))
		})
	}
}

// logged is all that the handlers write about value: as an attribute, in a group and preset.
func logged(value any) string {
	var out strings.Builder
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, options), slog.NewJSONHandler(&out, options)} {
		log := slog.New(handler)
		log.Info("attribute", "value", value)
		log.Info("any", slog.Any("value", value))
		log.Info("group", slog.Group("group", "value", value))
		log.With("value", value).WithGroup("group").Info("preset")
	}
	return out.String()
}

// conceals looks for the secret as it is, in hexadecimal, and as the decimal numbers of its bytes.
func conceals(t *testing.T, how, text string) {
	t.Helper()
	decimal := strings.Trim(fmt.Sprint([]byte(password)), "[]")
	for _, form := range []string{password, fmt.Sprintf("%x", password), fmt.Sprintf("% x", password), decimal} {
		if strings.Contains(strings.ToLower(text), form) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
	}
}

func TestASecretShowsWhetherItIsSet(t *testing.T) {
	t.Parallel()
	var none config.Secret
	set := config.NewSecret(password)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, set); got != "[redacted]" {
			t.Errorf("%s of a secret is %q", verb, got)
		}
		if got := fmt.Sprintf(verb, none); got != "" {
			t.Errorf("%s of no secret is %q", verb, got)
		}
	}
	if text, err := json.Marshal([]config.Secret{set, none}); err != nil || string(text) != `["[redacted]",""]` {
		t.Errorf("JSON of both is %s, %v", text, err)
	}
	if got, empty := set.LogValue().String(), none.LogValue().String(); got != "[redacted]" || empty != "" {
		t.Errorf("slog of a secret is %q, of none %q", got, empty)
	}
	if !none.IsZero() || none.Reveal() != "" || set.IsZero() || set.Reveal() != password {
		t.Errorf("zero: %v, %v; revealed: %q, %q", none.IsZero(), set.IsZero(), none.Reveal(), set.Reveal())
	}
}

func TestASecretIsReadFromText(t *testing.T) {
	t.Parallel()
	var secret config.Secret
	text := []byte(password)
	if err := secret.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	clear(text) // the caller may use its bytes again
	if secret.Reveal() != password {
		t.Errorf("got %q", secret.Reveal())
	}
}

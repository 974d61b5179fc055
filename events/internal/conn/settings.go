package conn

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"revoker/config"
)

// settings turns the variables other than the URL and the context into options; a context's own come before them. It looks into the
// files, for nats.go names no variable and does not look into a credentials file before a server asks for it.
func settings(cfg config.NATS) ([]nats.Option, error) {
	options, err := authentication(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.CA != "" {
		if pem, err := os.ReadFile(cfg.CA); err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return nil, config.Invalid(fmt.Errorf("NATS_CA: %q has no certificate in PEM form", cfg.CA))
		}
		options = append(options, nats.RootCAs(cfg.CA))
	}
	if cfg.Cert != "" {
		if _, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key); err != nil {
			return nil, config.Invalid(fmt.Errorf("NATS_CERT, NATS_KEY: %q and %q can't be used: %w", cfg.Cert, cfg.Key, err))
		}
		options = append(options, nats.ClientCert(cfg.Cert, cfg.Key))
	}
	if cfg.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(cfg.InboxPrefix))
	}
	return options, nil
}

// authentication is the option for who connects; the configuration has one way at most.
func authentication(cfg config.NATS) ([]nats.Option, error) {
	switch {
	case cfg.Creds != "":
		if !credentialsFile(cfg.Creds) {
			return nil, config.Invalid(fmt.Errorf("NATS_CREDS: %q is not a credentials file: it must have a user's JWT and seed", cfg.Creds))
		}
		return []nats.Option{nats.UserCredentials(cfg.Creds)}, nil
	case cfg.NKey != "":
		nkey, err := nats.NkeyOptionFromSeed(cfg.NKey)
		if err != nil {
			return nil, config.Invalid(fmt.Errorf("NATS_NKEY: %q is not an NKey seed file", cfg.NKey))
		}
		return []nats.Option{nkey}, nil
	case cfg.User != "":
		return []nats.Option{nats.UserInfo(cfg.User, cfg.Password.Reveal())}, nil
	case !cfg.Token.IsZero():
		return []nats.Option{nats.Token(cfg.Token.Reveal())}, nil
	}
	return nil, nil
}

func credentialsFile(path string) bool {
	content, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	token, jwtErr := nkeys.ParseDecoratedJWT(content)
	_, seedErr := nkeys.ParseDecoratedUserNKey(content)
	return jwtErr == nil && seedErr == nil && strings.Count(token, ".") == 2
}

// credentialsEnd is when the credentials of a file expire; zero for never, and for a file that does not tell.
func credentialsEnd(path string) time.Time {
	content, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}
	}
	token, err := nkeys.ParseDecoratedJWT(content)
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Expires int64 `json:"exp"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(claims.Expires, 0)
}

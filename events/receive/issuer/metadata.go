package issuer

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"revoker/config"
	"revoker/events/receive/logouttoken"
)

const (
	wellKnown = "/.well-known/openid-configuration" // OpenID Connect Discovery 1.0, section 4

	minRSA  = 2048 // bits, by RFC 7518, section 3.3
	maxKeys = 64   // so that a token without a key ID costs at most so many verifications
)

// metadata is the part of https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata that matters.
type metadata struct {
	Issuer     string   `json:"issuer"`
	KeysURL    string   `json:"jwks_uri"`
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
	Sessions   bool     `json:"backchannel_logout_session_supported"`
}

func discoveryURL(issuer string) string { return strings.TrimSuffix(issuer, "/") + wellKnown }

// parseMetadata refuses what would let somebody else sign.
func parseMetadata(body []byte, issuer string) (m metadata, err error) {
	if json.Unmarshal(body, &m) != nil {
		return m, errors.New("the metadata is not a JSON object of the right shape")
	}
	if m.Issuer != issuer {
		return m, errors.New("the metadata is of another issuer; the issuer must be configured exactly as it calls itself")
	}
	if err := checkKeysURL(m.KeysURL, issuer); err != nil {
		return m, fmt.Errorf("the metadata's jwks_uri: %w", err)
	}
	if m.Algorithms, err = algorithms(m.Algorithms); err != nil {
		return m, err
	}
	return m, nil
}

// checkKeysURL wants HTTPS, except for an issuer that needs none either.
func checkKeysURL(text, issuer string) error {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return errors.New("not a URL with a host")
	}
	plain := strings.HasPrefix(issuer, "http:") && config.Loopback(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && plain) {
		return errors.New("must be https://")
	}
	return nil
}

// algorithms leaves those that are accepted. A provider that names none signs with RS256, the only one that it must know.
func algorithms(named []string) (list []string, err error) {
	if len(named) == 0 {
		return []string{string(jose.RS256)}, nil
	}
	for _, name := range named {
		if slices.Contains(logouttoken.Algorithms, jose.SignatureAlgorithm(name)) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("the provider signs ID tokens with no algorithm that is accepted")
	}
	return list, nil
}

// parseKeys reads a JWK Set. RFC 7517, section 5, wants keys of unknown kinds to be ignored, and so are those that are not for
// signatures, too weak, or private.
func parseKeys(body []byte) (keys []jose.JSONWebKey, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil || set.Keys == nil {
		return nil, errors.New("the keys are not a JWK Set")
	}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil && usable(key) && forSignatures(raw) && len(keys) < maxKeys {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no key of the JWK Set can be used")
	}
	return keys, nil
}

// forSignatures looks at key_ops, which go-jose does not read: RFC 7517, section 4.3. A few providers publish the private key's "sign".
func forSignatures(raw []byte) bool {
	var key struct {
		Operations []string `json:"key_ops"`
	}
	return json.Unmarshal(raw, &key) == nil &&
		(key.Operations == nil || slices.Contains(key.Operations, "verify") || slices.Contains(key.Operations, "sign"))
}

func usable(key jose.JSONWebKey) bool {
	if !key.Valid() || !key.IsPublic() || (key.Use != "" && key.Use != "sig") {
		return false
	}
	if k, ok := key.Key.(*rsa.PublicKey); ok {
		return k.N.BitLen() >= minRSA
	}
	return true
}

// fits reports whether a key is of the kind that an algorithm needs.
func fits(key any, algorithm string) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[algorithm] == k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}

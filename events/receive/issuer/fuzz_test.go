package issuer

import (
	"crypto/rsa"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"revoker/events/receive/logouttoken"
	"revoker/internal/testissuer"
)

// Whatever a provider says of itself, keys come from nowhere that somebody between could change, and no symmetric algorithm is taken.
func FuzzMetadata(f *testing.F) {
	const issuer = "https://login.example"
	for _, seed := range []string{
		`{"issuer":"https://login.example","jwks_uri":"https://login.example/keys","id_token_signing_alg_values_supported":["RS256","none","HS256"],"backchannel_logout_session_supported":true}`,
		`{"issuer":"https://login.example","jwks_uri":"http://127.0.0.1/keys"}`, `{"issuer":"https://login.example/","jwks_uri":"https://login.example/keys"}`,
		`{"ISSUER":"https://login.example","jwks_uri":"https:///keys"}`, `{"issuer":"https://login.example","jwks_uri":"file:///etc/passwd"}`,
		`{"issuer":"http://127.0.0.1:3000","jwks_uri":"http://[::1]/keys"}`, `[]`, `null`, `{"issuer":1}`,
	} {
		f.Add([]byte(seed), issuer)
		f.Add([]byte(seed), "http://127.0.0.1:3000")
	}
	f.Fuzz(func(t *testing.T, body []byte, issuer string) {
		m, err := parseMetadata(body, issuer)
		if err != nil {
			return
		}
		u, err := url.Parse(m.KeysURL)
		if err != nil || u.Host == "" || m.Issuer != issuer {
			t.Fatalf("accepted %q: %v", body, err)
		}
		loopback := u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "::1" || strings.HasPrefix(u.Hostname(), "::ffff:127.")
		if u.Scheme != "https" && !(u.Scheme == "http" && strings.HasPrefix(issuer, "http:") && loopback) {
			t.Errorf("keys from %q", m.KeysURL)
		}
		for _, name := range m.Algorithms {
			if !slices.Contains(logouttoken.Algorithms, jose.SignatureAlgorithm(name)) || strings.HasPrefix(name, "HS") || name == "none" {
				t.Errorf("the algorithm %q", name)
			}
		}
		if len(m.Algorithms) == 0 || !json.Valid(body) {
			t.Errorf("accepted %q", body)
		}
	})
}

// Of a JWK Set only public keys are taken that are strong enough, and each is good for some accepted algorithm.
func FuzzKeys(f *testing.F) {
	key := testissuer.NewKey(f, "key-1")
	for _, set := range []any{
		jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.JWK()}},
		jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Private, KeyID: "private"}, key.JWK()}},
		jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: []byte("symmetric"), KeyID: "k"}, key.JWK()}},
		map[string]any{"keys": []any{map[string]string{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}},
		map[string]any{"keys": []any{map[string]string{"kty": "RSA", "n": "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDpre", "e": "AQAB"}}},
		map[string]any{"keys": nil}, map[string]any{"keys": []any{1, nil, "x", []any{}}}, []any{},
	} {
		text, err := json.Marshal(set)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parseKeys(body)
		if err != nil {
			return
		}
		if len(keys) == 0 || len(keys) > maxKeys || !json.Valid(body) {
			t.Errorf("%d keys of %q", len(keys), body)
		}
		for _, key := range keys {
			if !key.IsPublic() || !key.Valid() {
				t.Errorf("a key that is not public: %q", body)
			}
			if k, is := key.Key.(*rsa.PublicKey); is && k.N.BitLen() < 2048 {
				t.Errorf("an RSA key of %d bits", k.N.BitLen())
			}
			known := Known{Keys: []jose.JSONWebKey{key}}
			for _, algorithm := range []string{"none", "HS256", ""} {
				if len(known.Candidates(key.KeyID, algorithm)) > 0 {
					t.Errorf("a key for the algorithm %q: %q", algorithm, body)
				}
			}
		}
	})
}

// Package testissuer is the part of an OpenID provider that receivers of logout tokens see: metadata, keys, and tokens signed with
// them. Tests alone import it.
package testissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ClientID is the client that a token is for, unless its claims say otherwise.
const ClientID = "app"

// Event is the member of events that makes a token a logout token.
const Event = "http://schemas.openid.net/event/backchannel-logout"

// Claims are a token's.
type Claims map[string]any

// Issuer is a provider on loopback.
type Issuer struct {
	URL string
	t   testing.TB

	mu       sync.Mutex
	key      Key
	metadata map[string]any
	keys     any // the JWK Set, if it is not of key alone
	away     bool
	paths    map[string]int
	held     chan struct{} // requests wait until it is closed
}

// Key is a private key with what its tokens' header says of it.
type Key struct {
	Private   crypto.Signer
	ID        string
	Algorithm jose.SignatureAlgorithm
}

// NewKey returns an ES256 key.
func NewKey(t testing.TB, id string) Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{private, id, jose.ES256}
}

// JWK is the public half.
func (k Key) JWK() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig"}
}

// New starts a provider with one key.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{t: t, key: NewKey(t, "key-1"), paths: map[string]int{}}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.URL = server.URL
	i.metadata = map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "ES256", "EdDSA", "HS256", "none"},
		"backchannel_logout_session_supported": true,
	}
	return i
}

// ServeHTTP answers requests for metadata and keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.paths[r.URL.Path]++
	held := i.held
	i.mu.Unlock()
	if held != nil {
		<-held
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	var body any
	switch {
	case i.away:
		w.WriteHeader(http.StatusBadGateway)
		return
	case r.URL.Path == "/.well-known/openid-configuration":
		body = i.metadata
	case r.URL.Path == "/keys" && i.keys != nil:
		body = i.keys
	case r.URL.Path == "/keys":
		body = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.JWK()}}
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

// Requests counts what it was asked.
func (i *Issuer) Requests() (n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, times := range i.paths {
		n += times
	}
	return n
}

// Key is the current one.
func (i *Issuer) Key() Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.key
}

// Use changes the key.
func (i *Issuer) Use(key Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = key
}

// Publish replaces the answer to a request for keys.
func (i *Issuer) Publish(keys any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// Describe changes a member of the metadata; nil removes it.
func (i *Issuer) Describe(name string, value any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if value == nil {
		delete(i.metadata, name)
		return
	}
	i.metadata[name] = value
}

// Away makes it answer 502, or answer again.
func (i *Issuer) Away(away bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.away = away
}

// Hold makes requests wait until release is called, which must be.
func (i *Issuer) Hold() (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	held := make(chan struct{})
	i.held = held
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.held = nil
		close(held)
	}
}

// Claims are those of a good logout token, with the changes given; nil removes a claim.
func (i *Issuer) Claims(session string, changes Claims) Claims {
	now := time.Now().Unix()
	claims := Claims{
		"iss": i.URL, "aud": ClientID, "sub": "SECRET-subject", "sid": session, "iat": now, "exp": now + 120, "jti": fmt.Sprintf("jti-%d", time.Now().UnixNano()),
		"events": map[string]any{Event: map[string]any{}},
	}
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	return claims
}

// Token is a good logout token.
func (i *Issuer) Token(session string) string { return i.Sign(i.Claims(session, nil), nil) }

// Sign signs claims with the current key, with further members of the header.
func (i *Issuer) Sign(claims any, header map[string]any) string {
	i.t.Helper()
	return Sign(i.t, i.Key(), claims, header)
}

// Sign signs claims, or a payload of bytes. typ is logout+jwt unless the header says otherwise; nil leaves it out.
func Sign(t testing.TB, key Key, claims any, header map[string]any) string {
	t.Helper()
	payload, raw := claims.([]byte)
	if !raw {
		var err error
		if payload, err = json.Marshal(claims); err != nil {
			t.Fatal(err)
		}
	}
	options := (&jose.SignerOptions{}).WithType("logout+jwt")
	for name, value := range header {
		if value == nil {
			delete(options.ExtraHeaders, jose.HeaderKey(name))
			continue
		}
		options.WithHeader(jose.HeaderKey(name), value)
	}
	if key.ID != "" {
		options.WithHeader("kid", key.ID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.Algorithm, Key: key.Private}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

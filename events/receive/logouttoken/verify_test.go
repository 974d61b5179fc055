package logouttoken_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"revoker/events/receive/logouttoken"
	"revoker/internal/testissuer"
)

// verify does all of it.
func verify(text string, want logouttoken.Expected, now time.Time, keys ...jose.JSONWebKey) (logouttoken.Logout, error) {
	token, err := logouttoken.Parse(text)
	if err != nil {
		return logouttoken.Logout{}, err
	}
	var candidates []jose.JSONWebKey
	for _, key := range keys {
		if (token.KeyID() == "" || key.KeyID == token.KeyID()) && key.Algorithm == token.Algorithm() {
			candidates = append(candidates, key)
		}
	}
	return token.Verify(candidates, want, now)
}

func expected(issuer string) logouttoken.Expected {
	return logouttoken.Expected{Issuer: issuer, ClientIDs: []string{"x", testissuer.ClientID}, Algorithms: []string{"RS256", "ES256", "EdDSA"}}
}

func TestBadTokensAreRefusedEachForItsReason(t *testing.T) {
	t.Parallel()
	i := testissuer.New(t)
	reasons := map[logouttoken.Reason]bool{}
	corpus := i.Corpus(t)
	for _, bad := range corpus {
		_, err := verify(bad.Token, expected(i.URL), time.Now(), i.Key().JWK())
		var refused *logouttoken.Refusal
		if !errors.As(err, &refused) || string(refused.Reason) != bad.Reason {
			t.Errorf("%s: got %v, want the reason %s", bad.Name, err, bad.Reason)
			continue
		}
		if strings.Contains(refused.Text, "SECRET") {
			t.Errorf("%s: the token is quoted: %s", bad.Name, refused.Text)
		}
		reasons[refused.Reason] = true
	}
	if len(corpus) < 30 || len(reasons) != len(logouttoken.Reasons) {
		t.Errorf("%d tokens for the reasons %v, want all of %v", len(corpus), reasons, logouttoken.Reasons)
	}
}

func TestGoodTokensAreAccepted(t *testing.T) {
	t.Parallel()
	i := testissuer.New(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, c := range map[string]struct {
		key    testissuer.Key
		claims testissuer.Claims
		header map[string]any
	}{
		"plain":                           {},
		"no typ":                          {header: map[string]any{"typ": nil}},
		"typ JWT":                         {header: map[string]any{"typ": "JWT"}},
		"typ in upper case":               {header: map[string]any{"typ": "LOGOUT+JWT"}},
		"RSA":                             {key: testissuer.RSAKey(t, "key-2")},
		"EdDSA":                           {key: testissuer.Key{Private: private, ID: "key-3", Algorithm: jose.EdDSA}},
		"no key ID":                       {key: testissuer.Key{Private: i.Key().Private, Algorithm: jose.ES256}},
		"several audiences":               {claims: testissuer.Claims{"aud": []string{"SECRET-other", testissuer.ClientID}}},
		"no sub":                          {claims: testissuer.Claims{"sub": nil}},
		"no exp, like Hydra's":            {claims: testissuer.Claims{"exp": nil, "sub": nil, "iat": now.Unix() - 240}},
		"issued by a clock that is ahead": {claims: testissuer.Claims{"iat": now.Unix() + 30}},
		"expired by a clock that is late": {claims: testissuer.Claims{"exp": now.Unix() - 30}},
		"times with fractions":            {claims: testissuer.Claims{"iat": float64(now.Unix()) - 0.5, "exp": float64(now.Unix()) + 60.5}},
		"further claims and events": {claims: testissuer.Claims{
			"trace_id": "7", "events": map[string]any{testissuer.Event: map[string]any{"a": 1}, "other": 7},
		}},
	} {
		key := c.key
		if key.Private == nil {
			key = i.Key()
		}
		text := testissuer.Sign(t, key, i.Claims("SECRET-sid é", c.claims), c.header)
		public := key.JWK()
		logout, err := verify(text, expected(i.URL), now, public)
		if err != nil || string(logout.Session) != "SECRET-sid é" || logout.IssuedAt.IsZero() {
			t.Errorf("%s: got %v, %v", name, logout, err)
		}
	}
}

package logouttoken_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"revoker/events"
	"revoker/events/receive/logouttoken"
	"revoker/internal/testissuer"
)

// Whatever is sent, nothing that the issuer did not sign is accepted.
func FuzzParse(f *testing.F) {
	i := testissuer.New(f)
	good := i.Token("sid")
	f.Add(good)
	for _, bad := range i.Corpus(f) {
		f.Add(bad.Token)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := verify(text, expected(i.URL), time.Now(), i.Key().JWK()); err == nil {
			// A signature can be written in several ways. What it signs can't.
			have, want := strings.Split(text, "."), strings.Split(good, ".")
			for part := range 2 {
				h, _ := base64.RawURLEncoding.DecodeString(have[part])
				w, _ := base64.RawURLEncoding.DecodeString(want[part])
				if string(h) != string(w) {
					t.Errorf("accepted %q", text)
				}
			}
		}
	})
}

// Of claims that the issuer signed, only those are accepted that another reader also finds good.
func FuzzClaims(f *testing.F) {
	i := testissuer.New(f)
	now := time.Now()
	for _, claims := range []testissuer.Claims{nil, {"exp": nil}, {"sid": nil}, {"nonce": "n"}, {"aud": []string{"a", "app"}}, {"events": nil}, {"iat": now.Unix() - 400}} {
		payload, err := json.Marshal(i.Claims("sid", claims))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		logout, err := verify(testissuer.Sign(t, i.Key(), payload, nil), expected(i.URL), now, i.Key().JWK())
		var refused *logouttoken.Refusal
		if err != nil {
			if !errors.As(err, &refused) || !slices.Contains(logouttoken.Reasons, refused.Reason) {
				t.Errorf("%v is not a refusal", err)
			}
			return
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatalf("accepted %q: %v", payload, err)
		}
		happened, _ := claims["events"].(map[string]any)
		_, isObject := happened[testissuer.Event].(map[string]any)
		_, hasNonce := claims["nonce"]
		_, hasIssuedAt := claims["iat"].(float64)
		sid, _ := claims["sid"].(string)
		jti, _ := claims["jti"].(string)
		if claims["iss"] != i.URL || !isObject || hasNonce || !hasIssuedAt || sid == "" || events.SessionID(sid) != logout.Session || jti == "" {
			t.Errorf("accepted %q", payload)
		}
	})
}

package testissuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Bad is a token that must be refused, for its reason.
type Bad struct {
	Name, Token, Reason string
}

// Corpus is forged and wrong tokens, most of which are right but for one thing.
func (i *Issuer) Corpus(t testing.TB) (list []Bad) {
	t.Helper()
	add := func(reason, name, token string) { list = append(list, Bad{name, token, reason}) }
	signed := func(reason, name string, changes Claims) {
		t.Helper()
		add(reason, name, i.Sign(i.Claims("SECRET-sid", changes), nil))
	}
	header := func(reason, name string, members map[string]any) {
		t.Helper()
		add(reason, name, i.Sign(i.Claims("SECRET-sid", nil), members))
	}
	good := i.Token("SECRET-sid")
	parts := strings.Split(good, ".")
	now := time.Now().Unix()

	add("malformed", "not a token", "SECRET")
	add("malformed", "no payload", parts[0]+".."+parts[2])
	add("malformed", "not base64url", parts[0]+"."+parts[1]+"."+"%%%%")
	add("malformed", "a line break in the payload", parts[0]+"."+parts[1][:9]+"\r\n"+parts[1][9:]+"."+parts[2])
	add("malformed", "a line break in the signature", parts[0]+"."+parts[1]+"."+parts[2][:9]+"\n"+parts[2][9:])
	add("malformed", "padding", good+"==")
	add("malformed", "alg twice", i.headed(t, `{"alg":"none","alg":"ES256","kid":%q}`))
	add("malformed", "a header that is not JSON", encode([]byte("header"))+"."+parts[1]+"."+parts[2])
	add("malformed", "a token of 20 KiB", strings.Repeat("a", 20<<10)+"."+parts[1]+"."+parts[2])
	add("malformed", "the JSON serialization", fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]))
	add("malformed", "claims that are not an object", i.Sign([]byte(`["iss"]`), nil))
	add("malformed", "a claim twice", i.Sign([]byte(strings.Replace(string(i.payload("a")), `"sid":`, `"sid":"b","sid":`, 1)), nil))
	add("encrypted", "encrypted", good+".a.b")
	add("algorithm", "alg none", i.unsigned("none"))
	add("algorithm", "alg NONE", i.unsigned("NONE"))
	add("algorithm", "HMAC with the public key", i.confused(t))
	add("algorithm", "HMAC, an algorithm of the metadata", i.hmac("secret", "HS256"))
	add("algorithm", "an algorithm that the issuer does not name", Sign(t, i.Key384(t), i.Claims("SECRET-sid", nil), nil))
	header("critical", "a critical extension", map[string]any{"crit": []string{"exp"}})
	add("critical", "a crit that is null", i.headed(t, `{"alg":"ES256","crit":null,"kid":%q}`))
	add("type", "a type that is null", i.headed(t, `{"alg":"ES256","typ":null,"kid":%q}`))
	header("type", "an access token", map[string]any{"typ": "at+jwt"})
	header("type", "a type that is not a string", map[string]any{"typ": 7})
	header("type", "a secevent", map[string]any{"typ": "secevent+jwt"})

	signed("issuer", "another issuer", Claims{"iss": "https://SECRET.example"})
	signed("issuer", "the issuer with a slash", Claims{"iss": i.URL + "/"})
	signed("issuer", "no iss", Claims{"iss": nil})
	signed("issuer", "iss is an array", Claims{"iss": []string{i.URL}})

	add("key", "a key that the issuer has not", Sign(t, NewKey(t, "SECRET-kid"), i.Claims("SECRET-sid", nil), nil))
	add("key", "an RSA signature of an EC key's ID", Sign(t, RSAKey(t, i.Key().ID), i.Claims("SECRET-sid", nil), nil))
	add("signature", "another key under the right ID", Sign(t, NewKey(t, i.Key().ID), i.Claims("SECRET-sid", nil), nil))
	add("signature", "another key under no ID", Sign(t, NewKey(t, ""), i.Claims("SECRET-sid", nil), nil))
	add("signature", "its own key in the header", i.embedded(t))
	add("signature", "other claims", parts[0]+"."+encode(i.payload("SECRET-other"))+"."+parts[2])
	add("signature", "a signature of zeros", parts[0]+"."+parts[1]+"."+encode(make([]byte, 64)))
	add("signature", "no signature", parts[0]+"."+parts[1]+".")
	add("signature", "a cut signature", parts[0]+"."+parts[1]+"."+parts[2][:20])

	signed("audience", "another client", Claims{"aud": "SECRET-client"})
	signed("audience", "other clients", Claims{"aud": []string{"a", "b"}})
	signed("audience", "no aud", Claims{"aud": nil})
	signed("audience", "aud is an object", Claims{"aud": map[string]string{ClientID: ClientID}})
	signed("issued_at", "no iat", Claims{"iat": nil})
	signed("issued_at", "iat is text", Claims{"iat": fmt.Sprint(now)})
	signed("issued_at", "iat in the future", Claims{"iat": now + 3600, "exp": now + 7200})
	signed("issued_at", "iat in milliseconds", Claims{"iat": now * 1000})
	signed("expired", "expired", Claims{"exp": now - 3600})
	signed("expired", "exp is text", Claims{"exp": fmt.Sprint(now + 60)})
	signed("expired", "exp is null", Claims{"exp": json.RawMessage("null")})
	signed("stale", "no exp, six minutes old", Claims{"exp": nil, "iat": now - 360})
	signed("token_id", "no jti", Claims{"jti": nil})
	signed("token_id", "an empty jti", Claims{"jti": ""})
	signed("token_id", "jti is a number", Claims{"jti": 7})
	signed("events", "no events", Claims{"events": nil})
	signed("events", "another event", Claims{"events": map[string]any{"http://schemas.openid.net/secevent/risc/event-type/account-disabled": map[string]any{}}})
	signed("events", "an event that is not an object", Claims{"events": map[string]any{Event: "SECRET"}})
	signed("events", "an event that is null", Claims{"events": map[string]any{Event: nil}})
	signed("events", "an array of events", Claims{"events": []string{Event}})
	signed("nonce", "a nonce", Claims{"nonce": "SECRET-nonce"})
	signed("nonce", "a null nonce", Claims{"nonce": json.RawMessage("null")})
	signed("subject_only", "sub alone", Claims{"sid": nil})
	signed("session_id", "neither sid nor sub", Claims{"sid": nil, "sub": nil})
	signed("session_id", "an empty sid", Claims{"sid": ""})
	signed("session_id", "a null sid", Claims{"sid": json.RawMessage("null")})
	signed("session_id", "sid is a number", Claims{"sid": 7})
	signed("session_id", "a sid with a control character", Claims{"sid": "SECRET\x00"})
	signed("session_id", "a sid of 2,000 bytes", Claims{"sid": strings.Repeat("SECRET", 334)})
	return list
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (i *Issuer) payload(session string) []byte {
	payload, err := json.Marshal(i.Claims(session, nil))
	if err != nil {
		i.t.Fatal(err)
	}
	return payload
}

// unsigned is a token whose header says that it needs no signature.
func (i *Issuer) unsigned(algorithm string) string {
	return encode(fmt.Appendf(nil, `{"alg":%q,"typ":"logout+jwt"}`, algorithm)) + "." + encode(i.payload("SECRET-sid")) + "."
}

func (i *Issuer) hmac(secret, algorithm string) string {
	text := encode(fmt.Appendf(nil, `{"alg":%q,"typ":"logout+jwt","kid":%q}`, algorithm, i.Key().ID)) + "." + encode(i.payload("SECRET-sid"))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// confused is signed with the public key as if it were a shared secret.
func (i *Issuer) confused(t testing.TB) string {
	t.Helper()
	public, err := i.Key().JWK().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return i.hmac(string(public), "HS256")
}

// headed is signed, with a header of any text in which %q is the key's ID.
func (i *Issuer) headed(t testing.TB, header string) string {
	t.Helper()
	key := i.Key()
	text := encode(fmt.Appendf(nil, header, key.ID)) + "." + encode(i.payload("SECRET-sid"))
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key.Private.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// embedded is signed with a key that its header carries.
func (i *Issuer) embedded(t testing.TB) string {
	t.Helper()
	key := NewKey(t, i.Key().ID)
	return Sign(t, key, i.Claims("SECRET-sid", nil), map[string]any{"jwk": key.JWK(), "jku": "http://127.0.0.1:1/keys"})
}

// Key384 is a key of an algorithm that the metadata does not name.
func (i *Issuer) Key384(t testing.TB) Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{private, i.Key().ID, jose.ES384}
}

// RSAKey returns an RS256 key.
func RSAKey(t testing.TB, id string) Key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return Key{private, id, jose.RS256}
}

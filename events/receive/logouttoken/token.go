// Package logouttoken verifies logout tokens by OpenID Connect Back-Channel Logout 1.0 (errata 1), section 2.6. It is pure: it knows no
// clock, no network and no configuration. Parse reads a token, so that its issuer's keys can be looked for; Verify decides.
//
// https://openid.net/specs/openid-connect-backchannel-1_0.html
package logouttoken

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"revoker/events/jsonobject"
)

// MaxLength is the longest token, in bytes, that is looked at.
const MaxLength = 16 << 10

// Algorithms are those that a signature may have. Each is asymmetric: with none or a symmetric one whoever knows the client could sign.
var Algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Token is a token that was read, and not verified: nothing that it says may be believed.
type Token struct {
	signed *jose.JSONWebSignature
	header jose.Header
	claims claims
	issuer string
}

// Parse reads a token. Its error is a [*Refusal].
func Parse(text string) (*Token, error) {
	switch parts := strings.Count(text, ".") + 1; {
	case len(text) > MaxLength:
		return nil, refuse(ReasonMalformed, "the logout token is too long")
	case parts == 5:
		return nil, refuse(ReasonEncrypted, "the logout token is encrypted, which is not supported")
	case parts != 3 || strings.ContainsFunc(text, foreign):
		return nil, refuse(ReasonMalformed, "the logout token is not a signed JWT")
	}
	signed, err := jose.ParseSignedCompact(text, Algorithms)
	var algorithm *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &algorithm):
		return nil, refuse(ReasonAlgorithm, "the logout token's alg is not an accepted one")
	case err != nil || len(signed.Signatures) != 1:
		return nil, refuse(ReasonMalformed, "the logout token is not a signed JWT")
	}
	t := &Token{signed: signed, header: signed.Signatures[0].Protected}
	header, _, _ := strings.Cut(text, ".")
	if err := checkHeader(header); err != nil {
		return nil, err
	}
	if t.claims, err = parseClaims(signed.UnsafePayloadWithoutVerification()); err != nil {
		return nil, err
	}
	if t.issuer, err = claimText("iss", t.claims.issuer); err != nil || t.issuer == "" {
		return nil, refuse(ReasonIssuer, "the logout token's iss is missing or not a string")
	}
	return t, nil
}

// foreign reports whether a compact JWS has no place for a character. RFC 7515, section 5.2, wants line breaks refused, which
// encoding/base64 skips.
func foreign(r rune) bool {
	return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
}

// checkHeader looks at what the header says beside algorithm and key. The keys in a header (jwk, jku, x5c) are never looked at. It
// reads the header itself, because go-jose takes a null for an absent member.
func checkHeader(encoded string) error {
	header, err := base64.RawURLEncoding.DecodeString(encoded)
	var critical, typ []byte
	if err == nil {
		err = jsonobject.Walk(header, func(name, value []byte) error {
			switch string(name) {
			case "crit":
				critical = value
			case "typ":
				typ = value
			}
			return nil
		})
	}
	switch {
	case err != nil:
		return refuse(ReasonMalformed, "the logout token is not a signed JWT")
	case critical != nil:
		return refuse(ReasonCritical, "the logout token's crit demands an extension that is not supported")
	case typ == nil:
		return nil
	}
	if name, err := jsonobject.Text(typ); err != nil || !strings.EqualFold(name, "JWT") && !strings.EqualFold(name, "logout+jwt") {
		return refuse(ReasonType, "the logout token's typ says that it is another kind of token")
	}
	return nil
}

// Issuer is what the token says who signed it. It is never empty.
func (t *Token) Issuer() string { return t.issuer }

// KeyID is the ID of the key that the token names; empty for none.
func (t *Token) KeyID() string { return t.header.KeyID }

// Algorithm is the signature's.
func (t *Token) Algorithm() string { return t.header.Algorithm }

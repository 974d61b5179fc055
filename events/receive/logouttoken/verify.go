package logouttoken

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"revoker/events"
	"revoker/events/jsonobject"
)

const (
	// Event is the member of the events claim by which a token says that it is a logout token.
	Event = "http://schemas.openid.net/event/backchannel-logout"

	skew = time.Minute // by which the issuer's clock may differ
	// unexpiring is how old a token may be that never expires. Hydra sends such.
	unexpiring = 5 * time.Minute
)

// Expected is what the configuration says of the issuer.
type Expected struct {
	Issuer     string
	ClientIDs  []string
	Algorithms []string // that the issuer signs with
}

// Logout is what a verified token says.
type Logout struct {
	Session  events.SessionID
	IssuedAt time.Time
}

// Verify decides on a token. keys are the issuer's that fit the token's key ID and algorithm. The error is a [*Refusal].
func (t *Token) Verify(keys []jose.JSONWebKey, want Expected, now time.Time) (Logout, error) {
	switch {
	case t.issuer != want.Issuer:
		return Logout{}, refuse(ReasonIssuer, "the logout token's iss is not a configured issuer")
	case !slices.Contains(want.Algorithms, t.Algorithm()):
		return Logout{}, refuse(ReasonAlgorithm, "the logout token's alg is not one that the issuer signs with")
	case len(keys) == 0:
		return Logout{}, refuse(ReasonKey, "the logout token's key is not one of the issuer's")
	case !slices.ContainsFunc(keys, t.signedBy):
		return Logout{}, refuse(ReasonSignature, "the logout token's signature is wrong")
	}
	issuedAt, err := t.claims.checkTimes(now)
	if err != nil {
		return Logout{}, err
	}
	if err := t.claims.check(want); err != nil {
		return Logout{}, err
	}
	session, err := t.claims.sessionID()
	return Logout{Session: session, IssuedAt: issuedAt}, err
}

func (t *Token) signedBy(key jose.JSONWebKey) bool {
	_, err := t.signed.Verify(key.Key) // the key itself: with a JSONWebKey go-jose looks at nothing more
	return err == nil
}

// checkTimes returns when the token was issued.
func (c *claims) checkTimes(now time.Time) (issuedAt time.Time, err error) {
	issuedAt, ok := moment(c.issuedAt)
	if !ok || issuedAt.After(now.Add(skew)) {
		return issuedAt, refuse(ReasonIssuedAt, "the logout token's iat is missing, not a time, or in the future")
	}
	if c.expires == nil {
		if issuedAt.Before(now.Add(-unexpiring)) {
			return issuedAt, refuse(ReasonStale, "the logout token has no exp, and its iat is more than five minutes ago")
		}
		return issuedAt, nil
	}
	if expires, ok := moment(c.expires); !ok || !expires.After(now.Add(-skew)) {
		return issuedAt, refuse(ReasonExpired, "the logout token has expired, or its exp is not a time")
	}
	return issuedAt, nil
}

func (c *claims) check(want Expected) error {
	if !c.forOneOf(want.ClientIDs) {
		return refuse(ReasonAudience, "the logout token's aud has none of the configured client IDs")
	}
	if id, err := claimText("jti", c.id); err != nil || id == "" {
		return refuse(ReasonTokenID, "the logout token's jti is missing or not a string")
	}
	if !c.isLogout() {
		return refuse(ReasonEvents, "the logout token's events has no object for "+Event)
	}
	if c.nonce != nil {
		return refuse(ReasonNonce, "the token has a nonce, which a logout token must not have")
	}
	return nil
}

// forOneOf looks into aud, which is a string or an array of strings.
func (c *claims) forOneOf(clients []string) bool {
	if one, err := claimText("aud", c.audience); err == nil {
		return slices.Contains(clients, one)
	}
	var several []string
	if json.Unmarshal(c.audience, &several) != nil {
		return false
	}
	return slices.ContainsFunc(several, func(id string) bool { return slices.Contains(clients, id) })
}

// isLogout looks into events, whose member for the logout must be an object.
func (c *claims) isLogout() bool {
	var member []byte
	if c.events == nil || jsonobject.Walk(c.events, func(name, value []byte) error {
		if string(name) == Event {
			if member != nil {
				return errors.New("twice")
			}
			member = value
		}
		return nil
	}) != nil {
		return false
	}
	return member != nil && jsonobject.Walk(member, func(_, _ []byte) error { return nil }) == nil
}

// sessionID is the session that ended. A token may name the user alone, which means all of the user's sessions. Those are not
// ours to end, and a success that ends none would be a lie.
func (c *claims) sessionID() (events.SessionID, error) {
	id, err := claimText("sid", c.session)
	switch session := events.SessionID(id); {
	case c.session == nil && c.subject != nil:
		return "", refuse(ReasonSubject, "the logout token has a sub but no sid; only single sessions are ended"+
			" (ask the provider for sid: backchannel_logout_session_required)")
	case c.session == nil:
		return "", refuse(ReasonSession, "the logout token has no sid")
	case err != nil || session.Validate() != nil:
		return "", refuse(ReasonSession, "the logout token's sid is not a usable session ID")
	default:
		return session, nil
	}
}

package logouttoken

import (
	"errors"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"revoker/events/jsonobject"
)

// claims are the values of the claims that matter, as they stand in the token; nil for one that is absent.
type claims struct {
	issuer, subject, audience, expires, issuedAt, id, events, session, nonce []byte
}

func (c *claims) member(name []byte) *[]byte {
	switch string(name) {
	case "iss":
		return &c.issuer
	case "sub":
		return &c.subject
	case "aud":
		return &c.audience
	case "exp":
		return &c.expires
	case "iat":
		return &c.issuedAt
	case "jti":
		return &c.id
	case "events":
		return &c.events
	case "sid":
		return &c.session
	case "nonce":
		return &c.nonce
	}
	return nil
}

// parseClaims splits the payload. A claim that stands twice is refused, since parsers differ in which of the two they take.
func parseClaims(payload []byte) (c claims, err error) {
	twice := errors.New("twice")
	err = jsonobject.Walk(payload, func(name, value []byte) error {
		known := c.member(name)
		switch {
		case known == nil:
		case *known != nil:
			return twice
		default:
			*known = value
		}
		return nil
	})
	switch {
	case errors.Is(err, twice):
		return c, refuse(ReasonMalformed, "the logout token has a claim twice")
	case err != nil:
		return c, refuse(ReasonMalformed, "the logout token's claims are not a JSON object")
	}
	return c, nil
}

// claimText reads a claim that is a string; an absent one is empty.
func claimText(name string, value []byte) (string, error) {
	if value == nil {
		return "", nil
	}
	if !utf8.Valid(value) {
		return "", errors.New(name + " is not valid UTF-8")
	}
	s, err := jsonobject.Text(value)
	if err != nil {
		return "", errors.New(name + " is not a string")
	}
	return s, nil
}

// moment reads a NumericDate of RFC 7519, section 2: seconds, perhaps with a fraction.
func moment(value []byte) (time.Time, bool) {
	const latest = 1 << 36 // seconds; beyond the year 4000 somebody counted in milliseconds
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > latest {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}

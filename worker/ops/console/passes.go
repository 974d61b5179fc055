package console

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"revoker/config"
)

// passes issues the cookies of those who are signed in, and checks them. It remembers none. A pass holds the operator's name and
// its end, signed with a key from the console token:
//
//	base64url(name) "." end in Unix seconds "." base64url(HMAC-SHA256)
type passes struct {
	key []byte
	now func() time.Time
}

// passPurpose keeps the key apart from any other that may be made from the token. It changes with the form of a pass.
const passPurpose = "revoker console pass 1"

func newPasses(token config.Secret) *passes {
	key, err := hkdf.Key(sha256.New, []byte(token.Reveal()), nil, passPurpose, sha256.Size)
	if err != nil { // only for a length that is too long
		panic(err)
	}
	return &passes{key: key, now: time.Now}
}

func (p *passes) issue(name string) string {
	content := base64.RawURLEncoding.EncodeToString([]byte(name)) + "." + strconv.FormatInt(p.now().Add(signedInFor).Unix(), 10)
	return content + "." + base64.RawURLEncoding.EncodeToString(p.sign(content))
}

// name returns the name in a pass. It is not ok if the pass was not issued with this token, or has run out.
func (p *passes) name(pass string) (name string, ok bool) {
	last := strings.LastIndexByte(pass, '.')
	if last < 0 {
		return "", false
	}
	content := pass[:last]
	signature, err := base64.RawURLEncoding.DecodeString(pass[last+1:])
	if err != nil || !hmac.Equal(signature, p.sign(content)) {
		return "", false
	}
	encoded, end, _ := strings.Cut(content, ".")
	until, err := strconv.ParseInt(end, 10, 64)
	decoded, nameErr := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || nameErr != nil || p.now().Unix() >= until {
		return "", false
	}
	return string(decoded), true
}

func (p *passes) sign(content string) []byte {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(content))
	return mac.Sum(nil)
}

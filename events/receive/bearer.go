package receive

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"revoker/config"
)

const (
	maxTokenFile   = 64 << 10
	minTokenLength = 16
)

// bearer knows the tokens that senders may have. Where they come from a file, it follows the file.
type bearer struct {
	file *config.SecretFile // nil for a fixed token

	mu     sync.Mutex
	tokens [][sha256.Size]byte // of one length each, so that a comparison takes the same time whatever differs
}

// CheckToken says why the token can't be used.
func CheckToken(cfg config.Receive) error {
	_, err := newBearer(cfg)
	return err
}

// newBearer returns nil if no token is configured.
func newBearer(cfg config.Receive) (*bearer, error) {
	switch {
	case !cfg.Token.IsZero():
		return &bearer{tokens: [][sha256.Size]byte{sha256.Sum256([]byte(cfg.Token.Reveal()))}}, nil
	case cfg.TokenFile == "":
		return nil, nil
	}
	b := &bearer{file: config.NewSecretFile(cfg.TokenFile, maxTokenFile)}
	if err := b.file.Read(b.take); err != nil {
		return nil, fmt.Errorf("REVOKER_RECEIVE_TOKEN_FILE: %w", err)
	}
	return b, nil
}

// allows reports whether a request has one of the tokens.
func (b *bearer) allows(r *http.Request, now time.Time) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	have, found := sha256.Sum256([]byte(token)), 0
	for _, want := range b.current(now) {
		found |= subtle.ConstantTimeCompare(have[:], want[:])
	}
	return found == 1
}

func (b *bearer) current(now time.Time) [][sha256.Size]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file != nil {
		b.file.Follow(now, b.take)
	}
	return b.tokens
}

// take takes the tokens from the file's content. The caller holds mu, or is the constructor.
func (b *bearer) take(content []byte) error {
	var tokens [][sha256.Size]byte
	for token := range strings.FieldsSeq(string(content)) {
		if len(token) < minTokenLength {
			return fmt.Errorf("each token must have at least %d characters", minTokenLength)
		}
		tokens = append(tokens, sha256.Sum256([]byte(token)))
	}
	if len(tokens) == 0 {
		return errors.New("the file holds no token")
	}
	b.tokens = tokens
	return nil
}

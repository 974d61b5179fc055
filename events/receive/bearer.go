package receive

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
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
	log  *slog.Logger

	mu      sync.Mutex
	tokens  [][sha256.Size]byte // of one length each, so that a comparison takes the same time whatever differs
	refused string              // why the file's present content is not taken; empty if it is
}

// CheckToken says why the token can't be used.
func CheckToken(cfg config.Receive) error {
	_, err := newBearer(cfg, slog.New(slog.DiscardHandler))
	return err
}

// newBearer returns nil if no token is configured.
func newBearer(cfg config.Receive, log *slog.Logger) (*bearer, error) {
	switch {
	case !cfg.Token.IsZero():
		return &bearer{tokens: [][sha256.Size]byte{sha256.Sum256([]byte(cfg.Token.Reveal()))}}, nil
	case cfg.TokenFile == "":
		return nil, nil
	}
	b := &bearer{file: config.NewSecretFile(cfg.TokenFile, maxTokenFile), log: log}
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
		b.file.Follow(now, b.takeNew)
	}
	return b.tokens
}

// takeNew is take for a file that was replaced. Nobody would know otherwise that the tokens before are still good. The caller holds mu.
func (b *bearer) takeNew(content []byte) error {
	err := b.take(content)
	if err == nil {
		b.refused = ""
	} else if text := err.Error(); text != b.refused {
		b.refused = text
		b.log.Error("the new tokens can't be used; those before stay good", "file", b.file.Path(), "error", err)
	}
	return err
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

package authlete

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"revoker/config"
)

const maxTokenLength = 16 << 10

// tokenSource holds the bearer token, and where it comes from a file, follows the file.
type tokenSource struct {
	file *config.SecretFile // nil for a fixed token

	mu     sync.Mutex
	header string // the whole Authorization value
}

func newTokenSource(api config.API) (*tokenSource, error) {
	if api.BearerFile == "" {
		return &tokenSource{header: "Bearer " + api.Bearer.Reveal()}, nil
	}
	s := &tokenSource{file: config.NewSecretFile(api.BearerFile, maxTokenLength)}
	if err := s.file.Read(s.take); err != nil {
		return nil, fmt.Errorf("AUTHLETE_BEARER_FILE: %s: %w", s.file.Path(), err)
	}
	return s, nil
}

// authorization returns the Authorization value, of the file as it was at most a second ago.
func (s *tokenSource) authorization(now time.Time) string {
	if s.file == nil {
		return s.header
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file.Follow(now, s.take)
	return s.header
}

// refresh makes the next call read the file again, whatever its time says.
func (s *tokenSource) refresh() {
	if s.file == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file.Forget()
}

// take takes the token from the file's content. The caller holds mu, or is the constructor.
func (s *tokenSource) take(content []byte) error {
	token := strings.TrimSpace(string(content))
	if token == "" {
		return errors.New("the file is empty; it must hold one token")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the file must hold one token, without spaces or control characters")
	}
	s.header = "Bearer " + token
	return nil
}

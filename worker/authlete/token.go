package authlete

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"revoker/config"
)

const (
	tokenCheckInterval = time.Second // between two looks at the file
	maxTokenLength     = 16 << 10
)

// tokenSource holds the bearer token, and where it comes from a file, follows the file.
type tokenSource struct {
	path string // empty for a fixed token

	mu       sync.Mutex
	header   string // the whole Authorization value
	modified time.Time
	size     int64
	checked  time.Time
}

func newTokenSource(api config.API) (*tokenSource, error) {
	if api.BearerFile == "" {
		return &tokenSource{header: "Bearer " + api.Bearer.Reveal()}, nil
	}
	s := &tokenSource{path: api.BearerFile}
	if err := s.read(); err != nil {
		return nil, fmt.Errorf("AUTHLETE_BEARER_FILE: %s: %w", s.path, err)
	}
	return s, nil
}

// authorization returns the Authorization value, of the file as it was at most tokenCheckInterval ago. A file that can't
// be read for the moment, as while it is being replaced, leaves the last token in force.
func (s *tokenSource) authorization(now time.Time) string {
	if s.path == "" {
		return s.header
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.checked) >= tokenCheckInterval {
		s.checked = now
		if info, err := os.Stat(s.path); err == nil && (!info.ModTime().Equal(s.modified) || info.Size() != s.size) {
			_ = s.read()
		}
	}
	return s.header
}

// refresh makes the next call read the file again, whatever its time says.
func (s *tokenSource) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked, s.modified = time.Time{}, time.Time{}
}

// read takes the token from the file. The caller holds mu, or is the constructor.
func (s *tokenSource) read() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if info.Size() > maxTokenLength {
		return errors.New("the file is too large for a token")
	}
	content, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return errors.New("the file is empty; it must hold one token")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the file must hold one token, without spaces or control characters")
	}
	s.header, s.modified, s.size = "Bearer "+token, info.ModTime(), info.Size()
	return nil
}

package events

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

// MaxSessionIDLength is the longest session ID, in bytes, that an event may carry.
const MaxSessionIDLength = 1024

// SessionID is a session's ID, which whoever reads it may be able to act on. Every way of formatting it, by fmt with any
// verb, by encoding/json and by log/slog, gives its mask; only a conversion to string gives the ID itself.
type SessionID string

// Mask returns the first 12 hex digits of the ID's SHA-256: enough to tell sessions apart in logs, and no way back. The mask of no
// ID is empty.
func (id SessionID) Mask() string {
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:6])
}

// String returns the mask.
func (id SessionID) String() string { return id.Mask() }

// Format writes the mask whatever the verb.
func (id SessionID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, id.Mask()) }

// MarshalText returns the mask, for encoding/json among others.
func (id SessionID) MarshalText() ([]byte, error) { return []byte(id.Mask()), nil }

// LogValue returns the mask.
func (id SessionID) LogValue() slog.Value { return slog.StringValue(id.Mask()) }

// MaskIn replaces the ID wherever text quotes it, as it is or escaped for JSON or a URL. A short ID is replaced only where
// it stands by itself, since its letters are in ordinary words too.
func MaskIn(text string, id SessionID) string {
	if id == "" || text == "" {
		return text
	}
	quoted, _ := json.Marshal(string(id))
	for _, form := range []string{string(id), string(quoted[1 : len(quoted)-1]), url.QueryEscape(string(id)), url.PathEscape(string(id))} {
		text = replaceWord(text, form, "session:"+id.Mask())
	}
	return text
}

const shortID = 8 // bytes

func replaceWord(text, word, with string) string {
	if len(word) >= shortID {
		return strings.ReplaceAll(text, word, with)
	}
	var out strings.Builder
	for start := 0; ; {
		i := strings.Index(text[start:], word)
		if i < 0 {
			out.WriteString(text[start:])
			return out.String()
		}
		before, after := start+i, start+i+len(word)
		out.WriteString(text[start:before])
		if (before > 0 && wordByte(text[before-1])) || (after < len(text) && wordByte(text[after])) {
			out.WriteString(word)
		} else {
			out.WriteString(with)
		}
		start = after
	}
}

func wordByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_'
}

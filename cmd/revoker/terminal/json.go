package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// WriteJSON writes a value on lines of its own.
func WriteJSON(out io.Writer, value any) error {
	encoded, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", PrintableJSON(encoded))
	return err
}

// PrintableJSON escapes in JSON what Printable escapes in text; encoding/json leaves all but ASCII's control characters.
func PrintableJSON(encoded []byte) []byte {
	var out []byte
	for _, r := range string(encoded) {
		if r < 0x7f || unicode.IsPrint(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

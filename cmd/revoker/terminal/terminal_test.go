package terminal

import (
	"testing"
)

func TestNothingPrintableIsObeyed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain é ✓ \"quoted\" back\\slash":    "plain é ✓ \"quoted\" back\\slash",
		"\x1b[2J\x07\r\x00\x7f\u0085\u009b2J": `\x1b[2J\a\r\x00\x7f\u0085\u009b2J`,
		"a\u202eb\u200bc\u2066":               `a\u202eb\u200bc\u2066`, // written right to left; invisible
		"bad \xff\xc3":                        `bad \xff\xc3`,
		"line\nfeed\ttab":                     "line\nfeed\ttab",
	} {
		if got := Printable(text, "\n\t"); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := string(PrintableJSON([]byte(`{"a":"é\"` + "\u009b\u202e\x7f\U000e0001" + `"}`))); got != `{"a":"é\"\u009b\u202e\u007f\udb40\udc01"}` {
		t.Errorf("JSON is shown as %s", got)
	}
	if got := Printable("a\nb", ""); got != `a\nb` {
		t.Errorf("a line feed is shown as %q", got)
	}
}

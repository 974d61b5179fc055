package peer

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a worker is asked, it sees a question about an event only in what asks one.
func FuzzAskedAbout(f *testing.F) {
	for _, seed := range []string{"", LetGo, About(7, "0123456789ab"), "event 18446744073709551616 a", "event -1 a", "event 1", "event 1 a b", "event\t1\na", "EVENT 1 a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, request string) {
		sequence, mask, ok := askedAbout(request)
		if !ok {
			return
		}
		if !utf8.ValidString(request) { // bytes that are not UTF-8 read as U+FFFD, which no mask has
			return
		}
		if mask == "" || strings.ContainsAny(mask, " \t\r\n") || !strings.HasPrefix(request, "event") || !strings.Contains(request, mask) {
			t.Errorf("%q asks about %d %q", request, sequence, mask)
		}
		if s, m, ok := askedAbout(About(sequence, mask)); s != sequence || m != mask || !ok {
			t.Errorf("%d %q is read as %d %q", sequence, mask, s, m)
		}
	})
}

package terminal

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"revoker/config"
)

// A duration is readable in both formats of the log, inside a group too.
func TestTheLogHasReadableDurations(t *testing.T) {
	t.Parallel()
	for format, want := range map[string][]string{
		"json": {`"again_in":"1.5s"`, `"took":"1.235ms"`, `"timeout":"25s"`, `"n":7`},
		"text": {`again_in=1.5s`, `took=1.235ms`, `timeout=25s`, `n=7`},
	} {
		var out strings.Builder
		log := NewLogger(&out, config.Config{LogFormat: format})
		log.Info("m", slog.Group("g", "again_in", 1500*time.Millisecond), "took", 1234567*time.Nanosecond, "timeout", 25*time.Second+time.Microsecond, "n", 7)
		for _, part := range want {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s: no %s in %s", format, part, out.String())
			}
		}
	}
}

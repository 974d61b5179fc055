package descriptors

import (
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		concurrency int
		limit       uint64
		known       bool
		want        int
		short       bool
	}{
		{64, 104, true, 64, false}, {64, 103, true, 63, true}, {64, 45, true, 5, true}, {64, 10, true, 1, true},
		{16384, 1 << 63, true, 16384, false}, {64, 0, false, 64, false},
	} {
		fits, shortage := fit(c.concurrency, c.limit, c.known)
		if fits != c.want || (shortage != "") != c.short || c.short && !strings.Contains(shortage, "REVOKER_CONCURRENCY") {
			t.Errorf("%+v: %d, %q", c, fits, shortage)
		}
	}
	if fits, shortage := Fit(1); fits != 1 || shortage != "" {
		t.Errorf("here: %d, %s", fits, shortage)
	}
}

package terminal

import (
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count, total int64
		took         time.Duration
		want         string
	}{
		{0, 100, time.Second, "0 of 100 events (0%), 0/s"},
		{250, 1000, 10 * time.Second, "250 of 1000 events (25%), 25/s, 30s left"},
		{1000, 1000, 10 * time.Second, "1000 of 1000 events (100%), 100/s, 0s left"},
		{1200, 1000, 10 * time.Second, "1200 of 1200 events (100%), 120/s, 0s left"},
		{1200, 0, 10 * time.Second, "1200 events, 120/s"},
	} {
		if got := progressLine(c.count, c.total, c.took, "events"); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

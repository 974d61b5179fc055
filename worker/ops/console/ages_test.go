package console

import (
	"context"
	"testing"
	"time"

	"revoker/events/dlq"
)

// A list counts the letters of the last hour and day. It is read again after some minutes, although no letter came or went.
func TestAListTellsHowItGrows(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.bury(nil, "a")
	d.bury(nil, "b")
	s, reads := d.console.scans, 0
	read := s.read
	s.read = func(ctx context.Context, store *dlq.LetterStore, chosen dlq.Selection) (letterList, error) {
		reads++
		return read(ctx, store, chosen)
	}
	list := d.list(d.operator, map[string]any{})
	if len(list.Groups) != 1 || list.Groups[0].LastHour != 2 || list.Groups[0].LastDay != 2 || list.Since.IsZero() || !list.Since.Equal(list.Groups[0].Oldest) {
		t.Errorf("%+v", list)
	}
	if d.age(); d.list(d.operator, map[string]any{}).Total != 2 || reads != 1 {
		t.Errorf("read %d times, want once: nothing has changed", reads)
	}
	s.mu.Lock()
	for key, known := range s.known {
		known.read = known.read.Add(-listGood)
		s.known[key] = known
	}
	s.mu.Unlock()
	if d.age(); d.list(d.operator, map[string]any{}).Total != 2 || reads != 2 {
		t.Errorf("read %d times, want twice: the list is %s old", reads, listGood.Round(time.Minute))
	}
}

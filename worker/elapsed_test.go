package worker

import (
	"testing"
	"time"

	"revoker/events"
)

func TestTimeToRevoked(t *testing.T) {
	t.Parallel()
	published := time.Date(2026, 3, 1, 0, 5, 0, 0, time.UTC)
	const call = 40 * time.Millisecond
	for name, c := range map[string]struct {
		endedAt time.Time
		want    time.Duration
	}{
		"not said":                           {time.Time{}, call},
		"just before":                        {published.Add(-time.Second), time.Second + call},
		"at the same time":                   {published, call},
		"the calendar day before":            {published.Add(-10 * time.Minute), 10*time.Minute + call},
		"a day before":                       {published.Add(-24 * time.Hour), 24*time.Hour + call},
		"more than a day before":             {published.Add(-24*time.Hour - 1), call},
		"a clock that is ahead":              {published.Add(time.Nanosecond), call},
		"a clock that is ahead, and waiting": {published.Add(call / 2), call}, // not in the future any more when it is revoked
		"milliseconds taken for seconds":     {time.UnixMilli(published.Unix()), call},
		"in another zone":                    {published.Add(-time.Second).In(time.FixedZone("", 3600)), time.Second + call},
	} {
		if got := toRevoked(events.Event{EndedAt: c.endedAt}, published, published.Add(call)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got := toRevoked(events.Event{}, published, published.Add(-time.Second)); got != 0 {
		t.Errorf("the server's clock is ahead: %s", got)
	}
}

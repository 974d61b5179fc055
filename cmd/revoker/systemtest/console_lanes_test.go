package systemtest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// second is what this test looks at of a second that the page plots.
type second struct {
	Limit      *int
	Live, Bulk struct {
		Backlog *int
		P50     *float64
	}
}

// The page is fed with what limits the calls and how the lanes are, second by second, and with the objective.
func TestTheConsolePlotsLimitsAndLanes(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	_, page := pageOf(s, "REVOKER_CONCURRENCY=1", "REVOKER_OBJECTIVE=95% within 1h")
	b := newBrowser(t, page)
	event := events.Event{SessionID: "SECRET-1", EndedAt: time.Now().Add(-2 * time.Hour)}
	if _, err := s.JS.Publish(s.Deadline(), "session.ended", event.Encode()); err != nil {
		t.Fatal(err)
	}
	s.WaitDone()
	has := func(seconds []second, holds func(second) bool) bool {
		for _, s := range seconds {
			if holds(s) {
				return true
			}
		}
		return false
	}
	testproc.WaitFor(t, "a second with all of it", func() bool {
		var message struct {
			State   struct{ Worker events.WorkerState }
			Seconds []second
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(b.first(), "data: ")), &message); err != nil {
			t.Fatal(err)
		}
		state := message.State.Worker
		return has(message.Seconds, func(s second) bool { return s.Limit != nil && *s.Limit == 1 }) &&
			has(message.Seconds, func(s second) bool { return s.Live.Backlog != nil && s.Bulk.Backlog != nil }) &&
			has(message.Seconds, func(s second) bool { return s.Live.P50 != nil && *s.Live.P50 > 7000 && s.Bulk.P50 == nil }) &&
			state.Objective != nil && *state.Objective == (events.Kept{Target: "95% within 1h", Ratio: 0.95, Missed: 1}) &&
			state.LongDelays[config.Live].P99 > 7000
	})
}

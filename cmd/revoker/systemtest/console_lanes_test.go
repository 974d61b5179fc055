package systemtest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/events/peer"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// point is what this test looks at of a point that the page plots.
type point struct {
	Limit      *int
	Live, Bulk struct {
		Backlog *int
		P50     *float64
	}
}

// The page is fed with what limits the calls and how the lanes are, step by step, and with the objective.
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
	has := func(points []point, holds func(point) bool) bool {
		for _, p := range points {
			if holds(p) {
				return true
			}
		}
		return false
	}
	testproc.WaitFor(t, "a point with all of it", func() bool {
		var message struct {
			State  struct{ Worker peer.State }
			Points []point
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(b.first(), "data: ")), &message); err != nil {
			t.Fatal(err)
		}
		state := message.State.Worker
		return has(message.Points, func(p point) bool { return p.Limit != nil && *p.Limit == 1 }) &&
			has(message.Points, func(p point) bool { return p.Live.Backlog != nil && p.Bulk.Backlog != nil }) &&
			has(message.Points, func(p point) bool { return p.Live.P50 != nil && *p.Live.P50 > 6500 && p.Bulk.P50 == nil }) &&
			state.Objective != nil && *state.Objective == (peer.Kept{Target: "95% within 1h", Ratio: 0.95, Missed: 1}) &&
			state.LongDelays[config.Live].P99 > 7000
	})
}

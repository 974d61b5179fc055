package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"revoker/config"
	"revoker/events/admin"
	"revoker/events/peer"
	"revoker/internal/testsite"
)

func TestDeadLettersInWords(t *testing.T) {
	t.Parallel()
	oldest := time.Now().Add(-50 * time.Hour)
	for want, count := range map[string]*admin.DeadLetterCount{
		"-": nil,
		"0": {Reasons: map[string]int{}},
		"7: CALLER_ERROR 5, INVALID_EVENT 2; the oldest is 2d2h old": {Total: 7, Counted: 7, Reasons: map[string]int{"CALLER_ERROR": 5, "INVALID_EVENT": 2}, Oldest: &oldest},
		// What is counted is less than what is there, and the line says so.
		"100303: CALLER_ERROR 9855, RETRIES_EXHAUSTED 145 (of the newest 10000); the oldest is 2d2h old": {
			Total: 100303, Counted: 10000, Reasons: map[string]int{"CALLER_ERROR": 9855, "RETRIES_EXHAUSTED": 145}, Oldest: &oldest,
		},
	} {
		if got := letterText(count); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestABreakerInWords(t *testing.T) {
	t.Parallel()
	since, next := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Now().Add(50*time.Hour+30*time.Minute) // told in hours
	for want, state := range map[string]peer.State{
		"0 calls in flight": {Breaker: "closed"},
		"breaker open since 2026-01-02T03:04:05Z, next probe in 2d2h: HTTP 503": {Breaker: "open", Reason: "HTTP 503", BreakerSince: &since, NextProbe: &next},
		"breaker half-open since 2026-01-02T03:04:05Z: HTTP 503":                {Breaker: "half-open", Reason: "HTTP 503", BreakerSince: &since},
		"breaker open: HTTP 503": {Breaker: "open", Reason: "HTTP 503"}, // of an earlier version
	} {
		if got := workerText(state); !strings.HasSuffix(got, want) {
			t.Errorf("%q, want %q at its end", got, want)
		}
	}
}

// A source whose revocations delete nothing is named, for that alone shows a wrong session ID.
func TestEmptyRevocationsInWords(t *testing.T) {
	t.Parallel()
	s := admin.Status{Workers: []peer.State{
		{Sources: []peer.SourceCount{{Source: "login", Revoked: 10, Empty: 6}, {Source: "none", Revoked: 100, Empty: 50}}},
		{Sources: []peer.SourceCount{{Source: "login", Revoked: 2, Empty: 1}}},
	}}
	want := []string{"7 of the last 12 revocations of source login: are its IDs session IDs of Authlete?"}
	if got := emptyTexts(s); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTheObjectiveInWords(t *testing.T) {
	t.Parallel()
	kept := func(met, missed int, p50, p99 float64) peer.State {
		return peer.State{
			Objective:  &peer.Kept{Target: "99% within 5s", Ratio: 0.99, Met: met, Missed: missed},
			LongDelays: map[config.Lane]peer.LaneDelay{config.Live: {Revoked: met, P50: p50, P99: p99}, config.Bulk: {Revoked: 1, P50: 7200, P99: 7200}},
		}
	}
	for want, workers := range map[string][]peer.State{
		"not known": {{}},
		"99% within 5s: no live event was settled in 15 minutes":                                                                               {kept(0, 0, 0, 0)},
		"99% within 5s: 1 of 1 live event missed it in 15 minutes, 10000% of the budget spent":                                                 {kept(0, 1, 0, 0)},
		"99% within 5s: 0 of 1 live event missed it in 15 minutes, 0% of the budget spent; p50 12ms, p99 12ms":                                 {kept(1, 0, 0.0121, 0.0121)},
		"99% within 5s: 1 of 5000 live events missed it in 15 minutes, 2% of the budget spent; p50 20ms, p99 3s (the longest of 2 workers)":    {kept(4000, 0, 0.02, 1), kept(999, 1, 0.01, 3), {}},
		"99% within 5s: 30 of 1000 live events missed it in 15 minutes, 300% of the budget spent; p50 1s, p99 1m0s (the longest of 2 workers)": {kept(490, 10, 1, 60), kept(480, 20, 1, 6)},
	} {
		if got := objectiveText(workers); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTheLastMinuteInWords(t *testing.T) {
	t.Parallel()
	took := func(p50, p99 float64) peer.State {
		return peer.State{Delays: map[config.Lane]peer.LaneDelay{config.Live: {Revoked: 7, P50: p50, P99: p99}}}
	}
	for want, workers := range map[string][]peer.State{
		"": {{}},
		"live p50 20ms, p99 1s in the last minute":                            {took(0.02, 1), {}},
		"live p50 30ms, p99 1s in the last minute (the longest of 2 workers)": {took(0.02, 1), took(0.03, 0.5)},
	} {
		if got := delaysText(admin.Status{Lanes: []admin.LaneStatus{{Lane: config.Live}, {Lane: config.Bulk}}, Workers: workers}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestALimitInWords(t *testing.T) {
	t.Parallel()
	for want, state := range testsite.Limits() {
		if got := limitText(state); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"revoker/events"
	"revoker/events/admin"
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
	since, next := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Now().Add(90*time.Second)
	for want, state := range map[string]events.WorkerState{
		"0 calls in flight": {Breaker: "closed"},
		"breaker open since 2026-01-02T03:04:05Z, next probe in 1m30s: HTTP 503": {Breaker: "open", Reason: "HTTP 503", BreakerSince: &since, NextProbe: &next},
		"breaker half-open since 2026-01-02T03:04:05Z: HTTP 503":                 {Breaker: "half-open", Reason: "HTTP 503", BreakerSince: &since},
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
	s := admin.Status{Workers: []events.WorkerState{
		{Sources: []events.SourceCount{{Source: "login", Revoked: 10, Empty: 6}, {Source: "none", Revoked: 100, Empty: 50}}},
		{Sources: []events.SourceCount{{Source: "login", Revoked: 2, Empty: 1}}},
	}}
	want := []string{"7 of the last 12 revocations of source login: are its IDs session IDs of Authlete?"}
	if got := emptyTexts(s); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

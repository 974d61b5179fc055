package testsite

import (
	"time"

	"revoker/events/admin"
	"revoker/events/peer"
)

// Outlook is a course of the queue, and what must be said of the time that is left: by `revoker status`, and by the console page.
type Outlook struct {
	Name     string
	Statuses []admin.Status
	Want     admin.Outlook
	Text     string // of the command
	Page     string // of the page
}

// Outlooks are courses for the tests of all who show the time that is left. They must say the same.
func Outlooks() []Outlook {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(second, left int, sequence uint64, changes ...func(*admin.Status)) admin.Status {
		s := admin.Status{Time: began.Add(time.Duration(second) * time.Second), Backlog: left, LastSequence: sequence, Alone: true}
		for _, change := range changes {
			change(&s)
		}
		return s
	}
	paused := func(s *admin.Status) { s.Paused = true }
	foreign := func(s *admin.Status) { s.Alone = false }
	workers := func(breakers ...string) func(*admin.Status) {
		return func(s *admin.Status) {
			for _, breaker := range breakers {
				w := peer.State{Breaker: breaker}
				if breaker == "probing" {
					w.Breaker, w.BreakerSince = "half-open", &began
				}
				s.Workers = append(s.Workers, w)
			}
		}
	}
	return []Outlook{
		{"shrinking", []admin.Status{at(0, 1000, 1000), at(10, 500, 1000)}, admin.Shrinking, "published 0/s, settled 50/s, nothing left in 10s", "nothing left in 10 s"},
		{"fed meanwhile", []admin.Status{at(0, 1000, 1000), at(10, 500, 1200)}, admin.Shrinking, "published 20/s, settled 70/s, nothing left in 10s", "nothing left in 10 s"},
		{"growing", []admin.Status{at(0, 1000, 1000), at(10, 1300, 2000)}, admin.Growing, "published 100/s, settled 70/s, growing by 30/s", "growing by 30/s"},
		{"steady", []admin.Status{at(0, 10, 1000), at(10, 10, 2000)}, admin.NotShrinking, "published 100/s, settled 100/s, not shrinking", "not shrinking"},
		{"nothing left", []admin.Status{at(0, 10, 1000), at(10, 0, 1000)}, admin.NothingLeft, "published 0/s, settled 1/s, nothing left", "nothing left"},
		{"other subjects too", []admin.Status{at(0, 1000, 1000), at(10, 500, 9000, foreign)}, admin.Shrinking, "nothing left in 10s", "nothing left in 10 s"},
		{"one status", []admin.Status{at(0, 10, 10)}, admin.NotKnown, "rates are known after the next refresh", "rates are known in a moment"},
		{"lagging consumer", []admin.Status{at(0, 1000, 1000), at(10, 1100, 1050)}, admin.Growing, "published 5/s, settled 0/s, growing by 10/s", "growing by 10/s"},
		{"an hour and a half", []admin.Status{at(0, 54_010, 1000), at(10, 54_000, 1000)}, admin.Shrinking, "published 0/s, settled 1/s, nothing left in 15h0m", "nothing left in 15 h 0 min"},
		{"several days, rough", []admin.Status{at(0, 300_001, 1000), at(1, 300_000, 1000)}, admin.Shrinking, "published 0/s, settled 1/s, nothing left in 3d11h", "nothing left in 3 d 11 h"},
		// Paused a moment ago: what was settled before is no estimate.
		{"paused", []admin.Status{at(0, 1000, 1000), at(8, 500, 1000), at(10, 500, 1000, paused)}, admin.Paused, "paused", "paused"},
		{"paused for long", []admin.Status{at(0, 900, 1000, paused), at(10, 900, 1000, paused)}, admin.Paused, "published 0/s, settled 0/s, paused", "paused"},
		{"paused and empty", []admin.Status{at(0, 0, 1000, paused), at(10, 0, 1000, paused)}, admin.NothingLeft, "published 0/s, settled 0/s, nothing left", "nothing left"},
		// Resumed: the pause does not count.
		{"resumed", []admin.Status{at(0, 900, 1000, paused), at(8, 900, 1000), at(10, 700, 1000)}, admin.Shrinking, "published 0/s, settled 100/s, nothing left in 7s", "nothing left in 7 s"},
		{"breaker open", []admin.Status{at(0, 1000, 1000, workers("closed")), at(10, 500, 1000, workers("open"))}, admin.BreakerOpen, "no estimate while the circuit breaker is open", "no estimate while the circuit breaker is open"},
		{"breaker probing", []admin.Status{at(0, 1000, 1000, workers("open", "probing")), at(10, 990, 1000, workers("probing", "open"))}, admin.BreakerOpen, "published 0/s, settled 1/s, no estimate while the circuit breaker is open", "no estimate while the circuit breaker is open"},
		{"one of two breakers open", []admin.Status{at(0, 1000, 1000, workers("closed", "open")), at(10, 500, 1000, workers("open", "closed"))}, admin.Shrinking, "published 0/s, settled 50/s, nothing left in 10s", "nothing left in 10 s"},
		{"a second opinion", []admin.Status{at(0, 1000, 1000, workers("closed")), at(10, 500, 1000, workers("half-open"))}, admin.Shrinking, "published 0/s, settled 50/s, nothing left in 10s", "nothing left in 10 s"},
		{"breaker closed again", []admin.Status{at(0, 1000, 1000, workers("open")), at(10, 1000, 1000, workers("closed"))}, admin.NotKnown, "rates are known after the next refresh", "rates are known in a moment"},
	}
}

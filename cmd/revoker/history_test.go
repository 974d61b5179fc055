package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"revoker/events/admin"
)

var watched = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// after is a status so many seconds after watched.
func after(seconds, left int, sequence uint64) admin.Status {
	return admin.Status{Time: watched.Add(time.Duration(seconds) * time.Second), Backlog: left, LastSequence: sequence, Alone: true}
}

func TestRates(t *testing.T) {
	t.Parallel()
	paused := after(10, 900, 1000)
	paused.Paused = true
	mixed := after(10, 500, 9000)
	mixed.Alone = false
	for name, c := range map[string]struct {
		first, last admin.Status
		want        string
	}{
		"shrinking":           {after(0, 1000, 1000), after(10, 500, 1000), "published 0/s, settled 50/s, nothing left in 10s"},
		"fed meanwhile":       {after(0, 1000, 1000), after(10, 500, 1200), "published 20/s, settled 70/s, nothing left in 10s"},
		"growing":             {after(0, 1000, 1000), after(10, 1300, 2000), "published 100/s, settled 70/s, growing by 30/s"},
		"steady":              {after(0, 10, 1000), after(10, 10, 2000), "published 100/s, settled 100/s, not shrinking"},
		"nothing left":        {after(0, 10, 1000), after(10, 0, 1000), "published 0/s, settled 1/s, nothing left"},
		"paused":              {after(0, 1000, 1000), paused, "published 0/s, settled 10/s, paused"},
		"other subjects too":  {after(0, 1000, 1000), mixed, "nothing left in 10s"},
		"one status":          {after(0, 10, 10), after(0, 10, 10), "rates are known after the next refresh"},
		"lagging consumer":    {after(0, 1000, 1000), after(10, 1100, 1050), "published 5/s, settled 0/s, growing by 10/s"},
		"an hour and a half":  {after(0, 54_010, 1000), after(10, 54_000, 1000), "published 0/s, settled 1/s, nothing left in 15h0m"},
		"low":                 {after(0, 10, 1000), after(10, 9, 1003), "published 0.3/s, settled 0.4/s, nothing left in 1m30s"},
		"low and growing":     {after(0, 10, 1000), after(20, 11, 1001), "published 0.1/s, settled 0/s, growing by 0.1/s"},
		"several days, rough": {after(0, 300_001, 1000), after(1, 300_000, 1000), "published 0/s, settled 1/s, nothing left in 3d11h"},
	} {
		if got := ratesBetween(c.first, c.last).text(c.last); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestHistoryForgetsWhatIsOldAndWhatIsAnotherStreams(t *testing.T) {
	t.Parallel()
	h := &history{interval: time.Second}
	for second := range 1000 {
		h.add(after(second, 1000-second, 5000))
	}
	if n := len(h.statuses); n != 301 || h.span() != "5m0s" {
		t.Errorf("%d statuses over %s", n, h.span())
	}
	if r := h.rates(); *r.Shrinking != 1 {
		t.Errorf("%+v", r)
	}
	if left, settled := h.series(); len(left) != 301 || len(settled) != 300 || settled[0] != 1 {
		t.Errorf("%d and %d points", len(left), len(settled))
	}
	h.add(after(1000, 3, 3)) // the stream was made anew
	if len(h.statuses) != 1 {
		t.Errorf("%d statuses", len(h.statuses))
	}
}

// No two lines of an axis have the same number, however low the values are, and none has -0.
func TestTheAxisTellsItsLinesApart(t *testing.T) {
	t.Parallel()
	for _, values := range [][]float64{{0, 0, 0}, {0, 1, 0}, {0, 0.3, 0.1, 0.3}, {0, 2, 1}, {3, 2, 5}, {1000, 0, 70}} {
		for room := 7; room < 15; room++ {
			seen := map[string]bool{}
			for _, line := range plots(60, room, []plot{{"title", values}})[2:] {
				label, _, _ := strings.Cut(strings.TrimSpace(line), " ")
				if seen[label] || strings.HasPrefix(label, "-") {
					t.Errorf("%v in %d lines: %q again, or below zero:\n%s", values, room, label, strings.Join(plots(60, room, []plot{{"title", values}}), "\n"))
					break
				}
				seen[label] = true
			}
			if len(seen) < 4 {
				t.Errorf("%v in %d lines: only the labels %v", values, room, seen)
			}
		}
	}
}

// The screen never gets a line more than it has, whatever its size.
func TestTheScreenFits(t *testing.T) {
	t.Parallel()
	h := &history{interval: time.Second, failure: errors.New("not connected to NATS")}
	for second := range 60 {
		h.add(after(second, 1000*second, 100_000))
	}
	plotted := 0
	for height := 1; height < 80; height++ {
		for _, width := range []int{1, 10, 24, 40, 80, 300} {
			lines := screenLines(h, width, height, watched)
			if len(lines) > height {
				t.Fatalf("%d lines on %d", len(lines), height)
			}
			if strings.Contains(strings.Join(lines, "\n"), "settled a second") {
				plotted++
			}
		}
	}
	if plotted == 0 {
		t.Error("no screen has room for the plots")
	}
	text := strings.Join(screenLines(h, 80, 40, watched), "\n")
	if !strings.Contains(text, "trying again: not connected to NATS") || !strings.Contains(text, "59000 ┤") {
		t.Errorf("the screen:\n%s", text)
	}
}

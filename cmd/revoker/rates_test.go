package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"revoker/events/admin"
	"revoker/internal/testsite"
)

var watched = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// after is a status so many seconds after watched.
func after(seconds, left int, sequence uint64) admin.Status {
	return admin.Status{Time: watched.Add(time.Duration(seconds) * time.Second), Backlog: left, LastSequence: sequence, Alone: true}
}

func TestRatesInWords(t *testing.T) {
	t.Parallel()
	for _, course := range testsite.Outlooks() {
		var h history
		for _, status := range course.Statuses {
			h.Add(status)
		}
		if got := ratesText(h.Rates(), h.Last()); got != course.Text {
			t.Errorf("%s: %q, want %q", course.Name, got, course.Text)
		}
	}
}

// The screen never gets a line more than it has, whatever its size.
func TestTheScreenFits(t *testing.T) {
	t.Parallel()
	h := &history{interval: time.Second, failure: errors.New("not connected to NATS")}
	for second := range 60 {
		h.Add(after(second, 1000*second, 100_000))
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

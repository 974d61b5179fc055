package config

import "testing"

func TestSubjectMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"session.ended", "session.ended", true},
		{"session.ended", "session.Ended", false},
		{"session.ended", "session", false},
		{"session", "session.ended", false},
		{"session.*", "session.ended", true},
		{"session.*", "session", false},
		{"session.*", "session.ended.eu", false},
		{"*.ended", "session.ended", true},
		{"*.ended", "session.begun", false},
		{"*.*", "session.ended", true},
		{"session.>", "session.ended", true},
		{"session.>", "session.ended.eu", true},
		{"session.>", "session", false},
		{"session.>", "dlq.session", false},
		{">", "session", true},
		{">", "session.ended", true},
		{"*.>", "session", false},
		{"*.>", "session.ended", true},

		// A subject that is itself a pattern matches only where each subject it stands for does.
		{"session.*", "session.*", true},
		{"session.*", "session.>", false},
		{"session.>", "session.*", true},
		{"session.>", "session.>", true},
		{"session.>", ">", false},
		{"session.ended", "session.*", false},
		{"*.*", "session.>", false},
		{"*", ">", false},
		{">", ">", true},
		{">", "*.ended", true},
	} {
		if got := SubjectMatches(c.pattern, c.subject); got != c.want {
			t.Errorf("SubjectMatches(%q, %q) = %v", c.pattern, c.subject, got)
		}
	}
}

func TestValidSubject(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]bool{
		"session":          true,
		"session.ended":    true,
		"session-1.ended_": true,
		"*":                true,
		">":                true,
		"session.*":        true,
		"*.ended.>":        true,
		"$session.ended":   true,
		"":                 false,
		".":                false,
		".ended":           false,
		"session.":         false,
		"session..ended":   false,
		"session ended":    false,
		"session.\tended":  false,
		"session.ended\n":  false,
		"session.ended\r":  false,
		"session.>.ended":  false,
		">.ended":          false,
		"session*":         false,
		"session.e*":       false,
		"session.>>":       false,
		"session.**":       false,
	} {
		if got := validSubject(subject); got != want {
			t.Errorf("validSubject(%q) = %v", subject, got)
		}
	}
}

func TestHasWildcard(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]bool{"a.b": false, "a.*": true, "*.b": true, "a.>": true, ">": true} {
		if got := HasWildcard(subject); got != want {
			t.Errorf("HasWildcard(%q) = %v", subject, got)
		}
	}
}

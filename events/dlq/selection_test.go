package dlq

import (
	"slices"
	"testing"
	"time"

	"revoker/events"
)

func TestASelectionChooses(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	letter := StoredLetter{Letter: events.Letter{Reason: "CALLER_ERROR", ResultCode: "A1", SessionID: "abc"}, Sequence: 17, Stored: noon}
	bare := StoredLetter{Letter: events.Letter{Reason: "INVALID_EVENT"}, Sequence: 18, Stored: noon}
	for _, c := range []struct {
		what         string
		s            Selection
		letter, bare bool
	}{
		{"nothing said", Selection{}, true, true},
		{"its reason", Selection{Reason: "CALLER_ERROR"}, true, false},
		{"its reason in lower case", Selection{Reason: "caller_error"}, true, false},
		{"its result code", Selection{ResultCode: "A1"}, true, false},
		{"another result code", Selection{ResultCode: "A2"}, false, false},
		{"no result code", Selection{ResultCode: "-"}, false, true},
		{"its session", Selection{Session: "abc"}, true, false},
		{"its session's mask", Selection{Session: "ba7816bf8f01"}, true, false},
		{"a part of its session", Selection{Session: "ab"}, false, false},
		{"the hash of no session", Selection{Session: "e3b0c44298fc"}, false, false},
		{"since then", Selection{Since: noon}, true, true},
		{"since later", Selection{Since: noon.Add(1)}, false, false},
		{"until later", Selection{Until: noon.Add(1)}, true, true},
		{"until then", Selection{Until: noon}, false, false},
		{"its sequence", Selection{Sequences: []SequenceRange{{17, 17}}}, true, false},
		{"a range after another", Selection{Sequences: []SequenceRange{{1, 2}, {17, OpenEnd}}}, true, true},
		{"a range before it", Selection{Sequences: []SequenceRange{{1, 16}}}, false, false},
		{"one of two conditions", Selection{Reason: "CALLER_ERROR", ResultCode: "A2"}, false, false},
		{"both conditions", Selection{Reason: "CALLER_ERROR", Sequences: []SequenceRange{{17, 18}}}, true, false},
	} {
		if got := c.s.Matches(letter); got != c.letter {
			t.Errorf("%s: %t", c.what, got)
		}
		if got := c.s.Matches(bare); got != c.bare {
			t.Errorf("%s, of a letter without facts: %t", c.what, got)
		}
		if c.s.IsZero() != (c.what == "nothing said") {
			t.Errorf("%s: IsZero is %t", c.what, c.s.IsZero())
		}
	}
}

func TestSequencesAreReadInOrderAndOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, want []SequenceRange }{
		{nil, []SequenceRange{{1, 100}}},
		{[]SequenceRange{{50, 60}, {5, 5}, {7, 9}}, []SequenceRange{{5, 5}, {7, 9}, {50, 60}}},
		{[]SequenceRange{{5, 9}, {7, 12}, {6, 6}, {13, 13}}, []SequenceRange{{5, 13}}},
		{[]SequenceRange{{90, OpenEnd}, {95, 97}}, []SequenceRange{{90, 100}}},
		{[]SequenceRange{{101, OpenEnd}, {200, 300}}, nil},
	} {
		if got := (Selection{Sequences: c.given}).ranges(100); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.given, got, c.want)
		}
	}
	if got := (Selection{}).ranges(0); len(got) != 0 && got[0].First <= got[0].Last {
		t.Errorf("an empty stream: %v", got)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	var g LetterGroups
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	for i, code := range []string{"A1", "A2", "A2", ""} {
		g.Add(StoredLetter{Letter: events.Letter{Reason: "R", ResultCode: code}, Sequence: uint64(i + 1), Stored: at(i)})
	}
	want := []LetterGroup{{"R", "A2", 2, at(1), at(2), 3, 0, 0}, {"R", "", 1, at(3), at(3), 4, 0, 0}, {"R", "A1", 1, at(0), at(0), 1, 0, 0}}
	if got := g.List(); g.Total != 4 || !slices.Equal(got, want) {
		t.Errorf("%d in %v, want %v", g.Total, got, want)
	}
	for i := range 5 * maxGroups { // a hostile publisher's
		g.Add(StoredLetter{Letter: events.Letter{Reason: string(rune('a' + i))}, Sequence: uint64(i + 5), Stored: at(i)})
	}
	if got := g.List(); len(got) != maxGroups+1 || got[0].Reason != OtherGroups || g.Total != 5*maxGroups+4 {
		t.Errorf("%d groups of %d, the first %v", len(got), g.Total, got[0])
	}
}

func TestGroupsTellWhatCameLately(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := LetterGroups{Now: now}
	for _, age := range []time.Duration{100 * time.Hour, 25 * time.Hour, 24 * time.Hour, 2 * time.Hour, time.Hour, 0, -time.Second} { // the server's clock may be ahead
		g.Add(StoredLetter{Stored: now.Add(-age)})
	}
	if got := g.List(); len(got) != 1 || got[0].LastHour != 3 || got[0].LastDay != 5 {
		t.Errorf("%+v", got)
	}
}

func TestSpansAreFewAndLeaveOutTheWidestGaps(t *testing.T) {
	t.Parallel()
	one := func(sequences ...uint64) (list []SequenceRange) {
		for _, s := range sequences {
			list = append(list, SequenceRange{s, s})
		}
		return list
	}
	const far = 1_000_000
	for _, c := range []struct{ given, want []SequenceRange }{
		{nil, nil},
		{one(7), one(7)},
		{one(1, 3, 5000), []SequenceRange{{1, 5000}}},
		{one(5, far), one(5, far)},
		{[]SequenceRange{{1, 9}, {20, 30}, {far, far + 1}}, []SequenceRange{{1, 30}, {far, far + 1}}},
		{one(1, far, 3*far, 3*far+20_000, 6*far, 6*far+30_000), []SequenceRange{{1, 1}, {far, far}, {3 * far, 3*far + 20_000}, {6 * far, 6*far + 30_000}}},
	} {
		if got := spans(c.given); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.given, got, c.want)
		}
	}
}

package dlq

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// Selection chooses dead letters. Its zero value chooses all; every field that is set narrows the choice.
type Selection struct {
	// Reason is a Reason constant, in any case.
	Reason string
	// ResultCode is the API's; [NoResultCode] chooses letters without one.
	ResultCode string
	// Since and Until bound the time at which the letter was stored: from Since on, and before Until.
	Since, Until time.Time
	// Session is a session ID or its mask.
	Session string
	// Sequences are places in the dead-letter stream.
	Sequences []SequenceRange
}

// NoResultCode stands for the absence of a result code, in a Selection and in what is shown.
const NoResultCode = "-"

// SequenceRange is the stream sequences from First to Last, both included.
type SequenceRange struct{ First, Last uint64 }

// OpenEnd is the Last of a range without an end.
const OpenEnd = math.MaxUint64

// IsZero reports whether the selection chooses every letter.
func (s Selection) IsZero() bool {
	return s.Reason == "" && s.ResultCode == "" && s.Since.IsZero() && s.Until.IsZero() && s.Session == "" && len(s.Sequences) == 0
}

// Matches reports whether the selection chooses the letter.
func (s Selection) Matches(l StoredLetter) bool {
	switch {
	case s.Reason != "" && !strings.EqualFold(s.Reason, l.Reason),
		s.ResultCode == NoResultCode && l.ResultCode != "",
		s.ResultCode != "" && s.ResultCode != NoResultCode && s.ResultCode != l.ResultCode,
		!s.Since.IsZero() && l.Stored.Before(s.Since),
		!s.Until.IsZero() && !l.Stored.Before(s.Until):
		return false
	}
	if s.Session != "" && (l.SessionID == "" || s.Session != string(l.SessionID) && s.Session != l.SessionID.Mask()) {
		return false
	}
	return len(s.Sequences) == 0 || slices.ContainsFunc(s.Sequences, func(r SequenceRange) bool {
		return r.First <= l.Sequence && l.Sequence <= r.Last
	})
}

// ranges are the selection's sequences in order, without overlaps, up to last.
func (s Selection) ranges(last uint64) []SequenceRange {
	if len(s.Sequences) == 0 {
		return []SequenceRange{{First: 1, Last: last}}
	}
	sorted := slices.SortedFunc(slices.Values(s.Sequences), func(a, b SequenceRange) int { return cmp.Compare(a.First, b.First) })
	var merged []SequenceRange
	for _, r := range sorted {
		r.First, r.Last = max(r.First, 1), min(r.Last, last)
		if n := len(merged); n > 0 && r.First <= merged[n-1].Last+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
		} else if r.First <= r.Last {
			merged = append(merged, r)
		}
	}
	return merged
}

const (
	// maxScans bounds the consumers that one reading of letters makes at the server, however many sequences are chosen.
	maxScans = 4
	// It costs more to make a consumer than to read over so many letters that were not chosen.
	wideGap = 10_000
)

// spans are what is read for the ranges, which are in order: each from one range's first sequence to the same or a later
// one's last. What lies between was not chosen, so whoever reads a span has to look at each letter. The cuts are at the widest
// gaps.
func spans(ranges []SequenceRange) []SequenceRange {
	var cuts []int // a span begins with ranges[cut]
	gap := func(i int) uint64 { return ranges[i].First - ranges[i-1].Last }
	for i := 1; i < len(ranges); i++ {
		if gap(i) > wideGap {
			cuts = append(cuts, i)
		}
	}
	slices.SortFunc(cuts, func(a, b int) int { return cmp.Compare(gap(b), gap(a)) })
	cuts = cuts[:min(len(cuts), maxScans-1)]
	slices.Sort(cuts)
	var list []SequenceRange
	begin := 0
	for _, end := range append(cuts, len(ranges)) {
		if begin < end {
			list = append(list, SequenceRange{First: ranges[begin].First, Last: ranges[end-1].Last})
		}
		begin = end
	}
	return list
}

package dlq

import (
	"cmp"
	"slices"
	"time"
)

// maxGroups bounds how many groups a hostile publisher of dead letters can make LetterGroups keep.
const maxGroups = 1000

// OtherGroups is the reason that counts all letters beyond maxGroups.
const OtherGroups = "(others)"

// LetterGroup is the dead letters of one reason and result code.
type LetterGroup struct {
	Reason, ResultCode string
	Count              int
	Oldest, Newest     time.Time
	// Example is the sequence of the newest.
	Example uint64
	// LastHour and LastDay are how many came in the hour and the day before the groups' Now. They are 0 without a Now.
	LastHour, LastDay int
}

// LetterGroups counts dead letters by reason and result code. Its zero value is empty.
type LetterGroups struct {
	// Now is what LastHour and LastDay are counted from.
	Now time.Time
	// Total is how many letters there are in all groups.
	Total  int
	groups map[[2]string]*LetterGroup
}

// Add counts a letter.
func (g *LetterGroups) Add(l StoredLetter) {
	if g.groups == nil {
		g.groups = map[[2]string]*LetterGroup{}
	}
	g.Total++
	key := [2]string{l.Reason, l.ResultCode}
	if g.groups[key] == nil && len(g.groups) >= maxGroups {
		key = [2]string{OtherGroups, ""}
	}
	group := g.groups[key]
	if group == nil {
		group = &LetterGroup{Reason: key[0], ResultCode: key[1], Oldest: l.Stored}
		g.groups[key] = group
	}
	group.Count++
	g.age(group, g.Now.Sub(l.Stored))
	if l.Stored.Before(group.Oldest) {
		group.Oldest = l.Stored
	}
	if !l.Stored.Before(group.Newest) {
		group.Newest, group.Example = l.Stored, l.Sequence
	}
}

func (g *LetterGroups) age(group *LetterGroup, age time.Duration) {
	if g.Now.IsZero() {
		return
	}
	if age <= time.Hour {
		group.LastHour++
	}
	if age <= 24*time.Hour {
		group.LastDay++
	}
}

// List returns the groups, the largest first.
func (g *LetterGroups) List() []LetterGroup {
	list := make([]LetterGroup, 0, len(g.groups))
	for _, group := range g.groups {
		list = append(list, *group)
	}
	slices.SortFunc(list, func(a, b LetterGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.ResultCode, b.ResultCode))
	})
	return list
}

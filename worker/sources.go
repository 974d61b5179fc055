package worker

import (
	"maps"
	"slices"
	"sync"
	"time"

	"revoker/events/peer"
)

const (
	// NoSource stands for events that name no source, and OtherSource for those whose source is one too many: anyone who may
	// publish can make names up.
	NoSource    = "none"
	OtherSource = "other"
	// maxSources is how many are told apart.
	maxSources = 32
	// sourceMinutes is how far back a worker tells of its sources.
	sourceMinutes = 15
)

// sources count revocations, and those that deleted nothing, by where their events came from. A source whose revocations delete
// nothing most likely sends IDs that are not Authlete's session IDs: the API answers OK to those too, and nobody is logged out.
type sources struct {
	mu   sync.Mutex
	seen map[string]*sourceCount
}

// sourceCount has a place for each of the last minutes.
type sourceCount struct {
	minute         int64
	revoked, empty [sourceMinutes]int
}

// labelOf is the source as it is counted. The caller holds mu.
func labelOf[V any](seen map[string]V, source string) string {
	if source == "" {
		return NoSource
	}
	if _, known := seen[source]; !known && len(seen) >= maxSources {
		return OtherSource
	}
	return source
}

func (s *sources) add(now time.Duration, source string, deleted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	source = labelOf(s.seen, source)
	c := s.seen[source]
	if c == nil {
		if s.seen == nil {
			s.seen = map[string]*sourceCount{}
		}
		c = &sourceCount{}
		s.seen[source] = c
	}
	i := c.pass(int64(now / time.Minute))
	c.revoked[i]++
	if deleted == 0 {
		c.empty[i]++
	}
}

// pass forgets the minutes that are over, and returns the place of this one.
func (c *sourceCount) pass(minute int64) int {
	for c.minute = max(c.minute, minute-sourceMinutes); c.minute < minute; {
		c.minute++
		c.revoked[c.minute%sourceMinutes], c.empty[c.minute%sourceMinutes] = 0, 0
	}
	return int(minute % sourceMinutes)
}

// list tells of the last minutes, by name.
func (s *sources) list(now time.Duration) (list []peer.SourceCount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.seen)) {
		c := s.seen[name]
		c.pass(int64(now / time.Minute))
		count := peer.SourceCount{Source: name}
		for i := range sourceMinutes {
			count.Revoked += c.revoked[i]
			count.Empty += c.empty[i]
		}
		if count.Revoked > 0 {
			list = append(list, count)
		}
	}
	return list
}

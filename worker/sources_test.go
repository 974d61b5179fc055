package worker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"revoker/events/peer"
)

func TestSourcesTellOfTheLastMinutes(t *testing.T) {
	t.Parallel()
	s := &sources{}
	s.add(0, "keycloak", 0)
	s.add(time.Minute, "keycloak", 2)
	s.add(time.Minute, "", 0)
	want := []peer.SourceCount{{Source: "keycloak", Revoked: 2, Empty: 1}, {Source: NoSource, Revoked: 1, Empty: 1}}
	if got := s.list(2 * time.Minute); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	want = []peer.SourceCount{{Source: "keycloak", Revoked: 1}, {Source: NoSource, Revoked: 1, Empty: 1}}
	if got := s.list(sourceMinutes * time.Minute); !slices.Equal(got, want) {
		t.Errorf("a minute later than the first: %v, want %v", got, want)
	}
	if got := s.list(3 * sourceMinutes * time.Minute); len(got) != 0 {
		t.Errorf("after all: %v", got)
	}
}

// Anyone who may publish can make names up.
func TestSourcesAreBounded(t *testing.T) {
	t.Parallel()
	s := &sources{}
	for i := range 1000 {
		s.add(0, fmt.Sprint("source-", i), 1)
	}
	s.add(0, "source-0", 1)
	list := s.list(0)
	if len(list) != maxSources+1 {
		t.Errorf("%d are told apart", len(list))
	}
	for _, c := range list {
		if c.Source == OtherSource && c.Revoked != 1000-maxSources || c.Source == "source-0" && c.Revoked != 2 {
			t.Errorf("%+v", c)
		}
	}
}

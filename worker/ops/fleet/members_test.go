package fleet

import (
	"testing"
	"time"

	"revoker/events/peer"
)

// Two workers on one host are two, and so are two of an older version, which have no instance.
func TestWorkersAreToldApart(t *testing.T) {
	t.Parallel()
	m := members{}
	m.question(noon)
	for _, state := range []peer.State{
		{Instance: "B", Name: "host", Started: at(-5)}, {Instance: "A", Name: "host", Started: at(-5)}, {Name: "host", Started: at(-9)}, {Name: "host", Started: at(-7)}, {Name: "alpha"},
		{Name: "host", Started: at(-9).In(time.FixedZone("", 3600)), InHand: 3},
	} {
		m.answer(state, noon)
	}
	list := m.list("A", noon)
	want := []string{"alpha 0001-01-01T00:00:00Z", "host 2023-11-14T22:13:11Z", "host 2023-11-14T22:13:13Z", "A", "B"}
	if len(list) != len(want) {
		t.Fatalf("%d workers, want %d", len(list), len(want))
	}
	for i, w := range list {
		if w.ID != want[i] || w.Own != (w.ID == "A") || w.Silent {
			t.Errorf("worker %d: %+v, want %s", i, w, want[i])
		}
	}
	if list[1].InHand != 3 {
		t.Errorf("the newest answer does not count: %+v", list[1])
	}
}

// One lost answer says nothing. A worker that goes on to be silent is shown as such for a while, and then no more.
func TestAWorkerThatNoLongerAnswers(t *testing.T) {
	t.Parallel()
	m := members{}
	ask := func(second int64, answering ...string) []Worker {
		m.question(at(second))
		for _, id := range answering {
			m.answer(peer.State{Instance: id, History: &peer.History{}}, at(second))
		}
		return m.list("A", at(second))
	}
	ask(0, "A", "B")
	for second := int64(2); second <= 4; second += 2 {
		if list := ask(second, "A"); len(list) != 2 || list[1].Silent || m.told() != 2 {
			t.Errorf("after %d s: %+v", second, list)
		}
	}
	if list := ask(6, "A"); len(list) != 2 || !list[1].Silent || !list[1].Answered.Equal(noon) || list[0].Silent || m.told() != 1 {
		t.Errorf("after 6 s: %+v", list)
	}
	if list := ask(8, "A", "B"); list[1].Silent {
		t.Errorf("it answers again: %+v", list)
	}
	hidden := 9 + int64(hideAfter.Seconds())
	if list := ask(hidden, "A"); len(list) != 1 || list[0].ID != "A" {
		t.Errorf("after minutes: %+v", list)
	}
	if list := ask(hidden+1, "A", "B"); len(list) != 2 || list[1].Silent {
		t.Errorf("it answers after minutes: %+v", list)
	}
	if ask(hidden+7200, "A"); len(m) != 1 {
		t.Errorf("%d workers are remembered", len(m))
	}
}

func TestWorkersAreBounded(t *testing.T) {
	t.Parallel()
	m := members{}
	for i := range 3 * maxMembers {
		m.answer(peer.State{Name: "x", Started: at(int64(i))}, noon)
	}
	if len(m) != maxMembers {
		t.Errorf("%d workers are remembered", len(m))
	}
}

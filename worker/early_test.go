package worker

import "testing"

func TestEarlyRevocationsAreBounded(t *testing.T) {
	t.Parallel()
	var e early
	first := earlyCall{took: 1}
	e.put(eventKey{1, 1}, first)
	e.put(eventKey{1, 1}, earlyCall{took: 2}) // deleted nothing any more
	if call, known := e.take(eventKey{1, 1}); !known || call != first {
		t.Errorf("%v %v", call, known)
	}
	if _, known := e.take(eventKey{1, 1}); known {
		t.Error("taken twice")
	}
	for i := range uint64(2 * maxEarly) {
		e.put(eventKey{i, 2}, first)
	}
	if len(e.done) > maxEarly || !e.has(eventKey{2*maxEarly - 1, 2}) || e.has(eventKey{0, 2}) {
		t.Errorf("%d are kept", len(e.done))
	}
}

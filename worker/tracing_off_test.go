package worker

import (
	"testing"

	"revoker/events"
	"revoker/worker/admission"
	"revoker/worker/authlete"
)

func TestTracingThatIsOffAllocatesNothing(t *testing.T) {
	w, a, caller, delivery := &Worker{}, &attempt{outcome: Revoked}, &authlete.Caller{}, &events.Delivery{}
	var letter events.Letter
	if n := testing.AllocsPerRun(1000, func() {
		traced := w.tracing.begin(admission.Live, delivery)
		traced.calling(caller)
		traced.called(a.response, "")
		traced.letter(&letter)(nil)
		traced.sampled()
		traced.end(a)
	}); n != 0 || caller.Before != nil {
		t.Errorf("%v allocations, Before is nil: %v", n, caller.Before == nil)
	}
}

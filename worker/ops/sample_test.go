package ops

import (
	"testing"
	"time"

	"revoker/config"
	"revoker/events/admin"
	"revoker/events/peer"
)

func TestABacklogThatIsOldIsNotKnown(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := admin.Status{Time: now, Lanes: []admin.LaneStatus{{Lane: config.Live, Backlog: 3}}}
	if b := backlogs(s, now); len(b) != 1 || b[config.Live] != 3 {
		t.Errorf("%v", b)
	}
	if b := backlogs(s, now.Add(staleAfter)); len(b) != 0 {
		t.Errorf("%v of an old reading", b)
	}
}

func TestWithoutAServerAStateIsAsItWas(t *testing.T) {
	t.Parallel()
	var none *Server
	if got := none.Complete(peer.State{InHand: 3}); got.InHand != 3 || got.Waiting != nil {
		t.Errorf("%+v", got)
	}
}

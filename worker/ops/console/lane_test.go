package console

import (
	"net/http"
	"strings"
	"testing"

	"revoker/config"
	"revoker/events/admin"
)

// The page replays to the bulk lane, so that a crowd of letters does not delay live events; without one, to the live lane.
func TestThePageReplaysToTheBulkLane(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	replay := func(subject string) {
		t.Helper()
		sequence := d.bury(nil, `{"sessionId":"a"}`)
		list := d.list(d.operator, map[string]any{"exact": true})
		chosen := map[string]any{"sequences": []uint64{sequence}, "created": list.Created}
		if _, text := d.ask(d.operator, "POST", "/console/sweep", map[string]any{"action": "replay", "selection": chosen}); !strings.Contains(text, `"done":1`) {
			t.Fatalf("replaying: %s", text)
		}
		stream, err := d.js.Stream(d.deadline(), d.cfg.Stream)
		if err != nil {
			t.Fatal(err)
		}
		if msg, err := stream.GetMsg(d.deadline(), stream.CachedInfo().State.LastSeq); err != nil || msg.Subject != subject {
			t.Errorf("replayed: %+v, %v; want it on %s", msg, err, subject)
		}
	}
	replay(d.cfg.BulkSubject)
	if err := d.js.DeleteConsumer(d.deadline(), d.cfg.Stream, d.cfg.BulkConsumer); err != nil {
		t.Fatal(err)
	}
	replay(d.cfg.Subject)
}

// The page has one button: it pauses and resumes all that there is.
func TestThePagePausesBothLanes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, want := range []bool{true, false} {
		path := "/console/resume"
		if want {
			path = "/console/pause"
		}
		if status, text := d.ask(d.operator, "POST", path, map[string]any{}); status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, status, text)
		}
		status, err := admin.NewStatusReader(d.conn, d.cfg).ReadQueue(d.deadline())
		if err != nil || len(status.Lanes) != 2 || status.Lanes[0].Lane != config.Live {
			t.Fatalf("%+v, %v", status, err)
		}
		for _, l := range status.Lanes {
			if l.Paused != want {
				t.Errorf("after %s: the %s lane is paused: %v", path, l.Lane, l.Paused)
			}
		}
	}
}

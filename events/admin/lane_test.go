package admin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

const bulkSubject = "session.ended.bulk"

func (h *harness) paused(t *testing.T) (lanes []config.Lane) {
	t.Helper()
	for _, lane := range h.Cfg.Lanes() {
		own := h.Cfg.In(lane)
		if consumer, err := h.JS.Consumer(eventstest.Deadline(t), own.Stream, own.Consumer); err == nil && consumer.CachedInfo().Paused {
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

func TestALaneIsPausedAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.EnsureLanes(t)
	both := []config.Lane{config.Live, config.Bulk}
	for _, lanes := range [][]config.Lane{{config.Bulk}, {config.Live}, both} {
		paused, _, err := admin.Pause(eventstest.Deadline(t), h.Conn, h.Cfg, lanes, 0)
		if got := h.paused(t); err != nil || !slices.Equal(got, lanes) || !slices.Equal(paused, lanes) {
			t.Errorf("pausing %v: %v, says %v, %v", lanes, got, paused, err)
		}
		status, err := admin.NewStatusReader(h.Conn, h.Cfg).Read(eventstest.Deadline(t))
		if err != nil || status.Paused != (len(lanes) == 2) {
			t.Errorf("all is paused: %v, %v", status.Paused, err)
		}
		for _, l := range status.Lanes {
			if l.Paused != slices.Contains(lanes, l.Lane) {
				t.Errorf("%s is paused: %v", l.Lane, l.Paused)
			}
		}
		were, err := admin.Resume(eventstest.Deadline(t), h.Conn, h.Cfg, both)
		if got := h.paused(t); err != nil || len(got) != 0 || !slices.Equal(were, lanes) {
			t.Errorf("resuming: %v are paused, %v were, %v", got, were, err)
		}
	}
}

// An installation from before there was a bulk lane, with accounts from then.
func TestOneLaneIsAllThereIs(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "admin", Password: "pw"}, &server.User{Username: "operator", Password: "pw", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.*.SESSIONS.revoker-bulk", "$JS.API.CONSUMER.*.*.SESSIONS.revoker-bulk"}},
	}})
	for _, user := range []string{"admin", "operator"} {
		t.Run(user, func(t *testing.T) {
			h := unconnected()
			h.Cfg.NATS = eventstest.As(s, user)
			h.Conn = h.Connect(t, true)
			h.Connected(t)
			h.Dial(t, s.ClientURL(), nats.UserInfo("admin", "pw"))
			if user == "admin" {
				h.Create(t)
				if _, err := h.JS.CreateStream(eventstest.Deadline(t), events.DeadLetterStream(h.Cfg)); err != nil {
					t.Fatal(err)
				}
			}
			h.Publish(t, &nats.Msg{Data: []byte("{}")})
			paused, _, err := admin.Pause(eventstest.Deadline(t), h.Conn, h.Cfg, h.Cfg.Lanes(), time.Hour)
			if err != nil || !slices.Equal(paused, []config.Lane{config.Live}) {
				t.Errorf("paused %v, %v", paused, err)
			}
			if _, _, err := admin.Pause(eventstest.Deadline(t), h.Conn, h.Cfg, []config.Lane{config.Bulk}, 0); !errors.Is(err, events.ErrNoLane) {
				t.Errorf("pausing the bulk lane alone: %v", err)
			}
			// What the server says of this lags behind the stream.
			testproc.WaitFor(t, "event that waits", func() bool { return h.Info(t).NumPending > 0 })
			status, err := admin.NewStatusReader(h.Conn, h.Cfg).Read(eventstest.Deadline(t))
			if err != nil || len(status.Lanes) != 1 || len(status.Unknown) != 0 || !status.Paused || status.PausedUntil == nil || status.Backlog == 0 {
				t.Errorf("%+v, %v", status, err)
			}
			if were, err := admin.Resume(eventstest.Deadline(t), h.Conn, h.Cfg, h.Cfg.Lanes()); err != nil || len(were) != 1 {
				t.Errorf("resumed %v, %v", were, err)
			}
			for _, f := range admin.Check(eventstest.Deadline(t), h.Conn, h.Cfg, false) {
				if f.State == admin.Failed || strings.Contains(f.Name, ", bulk lane") {
					t.Errorf("%+v", f)
				}
				if strings.Contains(f.Name+f.Detail, "bulk") && f.State != admin.Warning {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func TestStatusIsTheSumOfTheLanes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.KeepInHand()
	lanes, _ := h.EnsureLanes(t)
	for range 2 {
		h.Publish(t, &nats.Msg{Subject: bulkSubject, Data: []byte("{}")})
	}
	oldest := h.Next(t, lanes.Bulk)
	for range 3 {
		h.Publish(t, &nats.Msg{Data: []byte("{}")})
	}
	h.Next(t, lanes.Live)
	var status admin.Status
	testproc.WaitFor(t, "the lanes", func() (known bool) {
		var err error
		if status, err = admin.NewStatusReader(h.Conn, h.Cfg).Read(eventstest.Deadline(t)); err != nil {
			t.Fatal(err)
		}
		return status.Backlog == 3 && status.Unsettled == 2
	})
	if status.Oldest == nil || status.Oldest.Sequence != oldest.Sequence || !status.Alone || status.LastSequence != 5 {
		t.Errorf("%+v", status)
	}
	for i, want := range []admin.LaneStatus{
		{Lane: config.Live, Subject: "session.ended", Consumer: "revoker", Backlog: 2, Unsettled: 1},
		{Lane: config.Bulk, Subject: bulkSubject, Consumer: "revoker-bulk", Backlog: 1, Unsettled: 1},
	} {
		got := status.Lanes[i]
		if got.Oldest == nil || got.MaxAckPending != 50_000 {
			t.Errorf("%+v", got)
		}
		got.Oldest, got.MaxAckPending, got.OpenPulls = nil, 0, 0
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// The consumers of both lanes, and what the account may do with them.
func TestCheckLooksAtBothLanes(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "admin", Password: "pw"},
		&server.User{Username: "blind", Password: "pw", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.INFO.SESSIONS.revoker-bulk"}}}},
		&server.User{Username: "idle", Password: "pw", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.MSG.NEXT.SESSIONS.revoker-bulk", "$JS.ACK.SESSIONS.revoker-bulk.>"}}}})
	for _, c := range []struct {
		user   string
		failed []string
	}{
		{"admin", nil}, {"blind", []string{"permission to see the bulk lane"}},
		{"idle", []string{"permission to pull, bulk lane", "permission to acknowledge, bulk lane"}},
	} {
		h := unconnected()
		h.Cfg.NATS = eventstest.As(s, c.user)
		h.Conn = h.Connect(t, true)
		h.Connected(t)
		if c.user == "admin" {
			h.EnsureLanes(t)
		}
		var failed []string
		seen := map[string]bool{}
		for _, f := range admin.Check(eventstest.Deadline(t), h.Conn, h.Cfg, false) {
			seen[f.Name] = true
			if f.State == admin.Failed {
				failed = append(failed, f.Name)
			}
		}
		if !slices.Equal(failed, c.failed) {
			t.Errorf("%s: %v failed, want %v", c.user, failed, c.failed)
		}
		if c.user != "blind" && (!seen["consumer revoker-bulk"] || !seen["delivery, bulk lane"] || !seen["delivery"]) {
			t.Errorf("%s: only %v", c.user, seen)
		}
	}
}

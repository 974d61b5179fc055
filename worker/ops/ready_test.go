package ops

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"revoker/config"
	"revoker/events/admin"
	"revoker/events/peer"
)

// sound is what a worker without any trouble goes by.
func sound(now time.Time) facts {
	return facts{
		now: now, connected: true, setUp: true, slots: 64, state: peer.State{Breaker: "closed"},
		queue: reading{tried: now, status: admin.Status{
			Time: now, Stream: "SESSIONS", MaxAge: 1000, Lanes: []admin.LaneStatus{
				{Lane: config.Live, MaxAckPending: 1000, Unsettled: 799, Oldest: &admin.Oldest{Published: now.Add(-500 * time.Second)}},
				{Lane: config.Bulk, MaxAckPending: 1000, Unsettled: 700, Oldest: &admin.Oldest{Published: now.Add(-400 * time.Second)}},
			},
		}},
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		change   func(*facts)
		fails    string // the condition
		reason   string
		warnings []string
	}{
		"sound":            {change: func(*facts) {}},
		"without NATS":     {change: func(f *facts) { f.connected = false }, fails: "nats", reason: "not connected to NATS"},
		"not set up":       {change: func(f *facts) { *f = facts{now: now, connected: true} }, fails: "consumer", reason: "not set up yet"},
		"pulls not served": {change: func(f *facts) { f.unserved = "no consumer" }, fails: "consumer", reason: "events are not served: no consumer"},
		"a reading failed, the last is recent": {change: func(f *facts) {
			f.queue.err, f.now = errors.New("slow"), now.Add(staleAfter-time.Second)
		}, warnings: []string{"max age"}},
		"the queue can't be read": {change: func(f *facts) {
			f.queue.err, f.now = errors.New("slow"), now.Add(staleAfter)
		}, fails: "consumer", reason: "the state of the consumer is not known: slow"},
		"no reading yet": {change: func(f *facts) { f.queue = reading{} }},
		"misconfigured": {change: func(f *facts) {
			f.misconfig, f.state = true, peer.State{Breaker: "open", Reason: "look at AUTHLETE_BEARER"}
		}, fails: "configuration", reason: "look at AUTHLETE_BEARER"},
		"breaker open": {change: func(f *facts) {
			f.state = peer.State{Breaker: "open", Reason: "HTTP 503"}
		}, warnings: []string{"circuit breaker"}},
		"breaker half-open": {change: func(f *facts) { f.state.Breaker = "half-open" }, warnings: []string{"circuit breaker"}},
		"a service is held": {change: func(f *facts) {
			f.state.Held = []peer.HeldService{{Service: "77", Reason: "HTTP 403: look at REVOKER_ALLOWED_SERVICE_IDS", Since: now}}
		}, warnings: []string{"held service"}},
		"ack pending": {change: func(f *facts) { f.queue.status.Lanes[0].Unsettled = 800 }, warnings: []string{"ack pending"}},
		"ack pending without a limit": {change: func(f *facts) {
			f.queue.status.Lanes[0].Unsettled, f.queue.status.Lanes[0].MaxAckPending = 1e6, -1
		}},
		"half of max age is passed":    {change: func(f *facts) { f.now = now.Add(time.Second) }, warnings: []string{"max age"}},
		"no max age":                   {change: func(f *facts) { f.now, f.queue.status.MaxAge = now.Add(time.Second), 0 }},
		"nothing unsettled":            {change: func(f *facts) { f.queue.status.Lanes[0].Oldest = nil }},
		"paused":                       {change: func(f *facts) { f.queue.status.Lanes[0].Paused = true }, warnings: []string{"paused"}},
		"ack pending in the bulk lane": {change: func(f *facts) { f.queue.status.Lanes[1].Unsettled = 800 }, warnings: []string{"ack pending"}},
		"half of max age in both lanes": {change: func(f *facts) {
			for i := range f.queue.status.Lanes {
				f.queue.status.Lanes[i].Oldest = &admin.Oldest{Published: now.Add(-501 * time.Second)}
			}
		}, warnings: []string{"max age", "max age"}},
		"the bulk lane is paused":        {change: func(f *facts) { f.queue.status.Lanes[1].Paused = true }, warnings: []string{"paused"}},
		"one lane, as in older releases": {change: func(f *facts) { f.queue.status.Lanes = f.queue.status.Lanes[:1] }},
		"something unknown":              {change: func(f *facts) { f.queue.status.Unknown = []string{"the oldest event: denied"} }, warnings: []string{"unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := sound(now)
			c.change(&f)
			r := judge(f)
			if r.Ready != (c.fails == "") {
				t.Errorf("ready is %v", r.Ready)
			}
			for _, condition := range r.Conditions {
				if condition.OK != (condition.Name != c.fails) || condition.OK != (condition.Reason == "") || !condition.OK && !strings.Contains(condition.Reason, c.reason) {
					t.Errorf("%+v", condition)
				}
			}
			var names []string
			for _, warning := range r.Warnings {
				names = append(names, warning.Name)
			}
			if !slices.Equal(names, c.warnings) {
				t.Errorf("warnings %v, want %v", r.Warnings, c.warnings)
			}
		})
	}
}

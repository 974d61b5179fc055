package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestLimitsThatDoNotFitTheReceipts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	week := 7 * 24 * time.Hour
	for name, c := range map[string]struct {
		limits jetstream.StreamConfig
		state  jetstream.StreamState
		want   string // empty for no warning
	}{
		"as configured":     {jetstream.StreamConfig{MaxMsgs: 1_000_000, MaxAge: week}, jetstream.StreamState{Msgs: 10, FirstTime: now.Add(-time.Hour)}, ""},
		"no limit":          {jetstream.StreamConfig{MaxAge: week}, jetstream.StreamState{}, "their number has no limit"},
		"much memory":       {jetstream.StreamConfig{MaxMsgs: 10_000_000, MaxAge: week}, jetstream.StreamState{}, "takes the server some 2956 MiB"},
		"few bytes":         {jetstream.StreamConfig{MaxMsgs: 1_000_000, MaxBytes: 600_000}, jetstream.StreamState{}, "some 1000 receipts, of the 1000000"},
		"bytes alone":       {jetstream.StreamConfig{MaxBytes: 600_000_000}, jetstream.StreamState{}, ""},
		"full too early":    {jetstream.StreamConfig{MaxMsgs: 100, MaxAge: week}, jetstream.StreamState{Msgs: 100, FirstTime: now.Add(-3 * time.Hour)}, "goes back 3h0m0s, not the 168h0m0s"},
		"full and old":      {jetstream.StreamConfig{MaxMsgs: 100, MaxAge: week}, jetstream.StreamState{Msgs: 100, FirstTime: now.Add(-week)}, ""},
		"small messages":    {jetstream.StreamConfig{MaxMsgs: 100, MaxMsgSize: 300}, jetstream.StreamState{}, "max message size is 300"},
		"generous messages": {jetstream.StreamConfig{MaxMsgs: 100, MaxMsgSize: 1 << 20}, jetstream.StreamState{}, ""},
	} {
		f := receiptRoom(c.limits, c.state, now)
		if (f.State == Warning) != (c.want != "") || !strings.Contains(f.Detail, c.want) || (f.Remedy == "") != (c.want == "") {
			t.Errorf("%s: %+v, want %q", name, f, c.want)
		}
	}
}

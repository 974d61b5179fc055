package events

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	natsconn "revoker/events/internal/conn"
	"revoker/internal/testproc"
)

func TestStalled(t *testing.T) {
	t.Parallel()
	at := func(change func(*jetstream.ConsumerInfo)) *jetstream.ConsumerInfo {
		info := &jetstream.ConsumerInfo{NumPending: 5, Config: jetstream.ConsumerConfig{MaxAckPending: 10}}
		info.Delivered.Consumer = 7
		change(info)
		return info
	}
	same := func(*jetstream.ConsumerInfo) {}
	for name, c := range map[string]struct {
		before, after func(*jetstream.ConsumerInfo)
		want          bool
	}{
		"events are pending and nothing moves":    {same, same, true},
		"nothing is pending":                      {same, func(i *jetstream.ConsumerInfo) { i.NumPending = 0 }, false},
		"they became pending since":               {func(i *jetstream.ConsumerInfo) { i.NumPending = 0 }, same, false},
		"another worker got some":                 {same, func(i *jetstream.ConsumerInfo) { i.Delivered.Consumer = 8 }, false},
		"it is paused":                            {same, func(i *jetstream.ConsumerInfo) { i.Paused = true }, false},
		"it was paused":                           {func(i *jetstream.ConsumerInfo) { i.Paused = true }, same, false},
		"as many are unacknowledged as may be":    {same, func(i *jetstream.ConsumerInfo) { i.NumAckPending = 10 }, false},
		"unacknowledged ones have no upper limit": {same, func(i *jetstream.ConsumerInfo) { i.NumAckPending, i.Config.MaxAckPending = 10, -1 }, true},
	} {
		if got := stalled(at(c.before), at(c.after)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A pull that is answered with nothing while events are pending is rebuilt. A responder stands in for the server's answers,
// since the real one can't be made to stall.
func TestAStalledPullIsRebuilt(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.NATS.URL = config.NewServerURLs(testproc.StartNATS(t).URL())
	conn, err := Connect(cfg.NATS, "test", slog.New(slog.DiscardHandler), true)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lanes, _, err := Ensure(t.Context(), conn, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer lanes.Close()
	consumer := lanes.Live
	if _, err := conn.JetStream().Publish(t.Context(), cfg.Subject, nil); err != nil {
		t.Fatal(err)
	}
	expired := nats.Header{"Status": {"408"}, "Description": {"Request Timeout"}}
	if _, err := conn.NC().Subscribe("stalled", func(m *nats.Msg) { _ = m.RespondMsg(&nats.Msg{Header: expired}) }); err != nil {
		t.Fatal(err)
	}
	consumer.subject, consumer.watchdog.interval = "stalled", time.Millisecond
	pull := func() (got int, err error) {
		return consumer.Pull(1, 10*time.Second, (*Delivery).Ack)
	}
	for err == nil {
		var got int
		if got, err = pull(); got > 0 || t.Context().Err() != nil {
			t.Fatalf("%d events, %v", got, err)
		}
	}
	_, again := pull()
	for again == nil && consumer.watchdog.barked { // the consumer's answer came too late
		_, again = pull()
	}
	if again == nil || again.Error() != err.Error() {
		t.Errorf("the next pull: %v, want %v again", again, err)
	}
	if err := consumer.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := pull(); got != 1 || err != nil {
		t.Errorf("after it was rebuilt: %d events, %v", got, err)
	}
	for range 3 { // an empty stream is no stall
		if _, err := consumer.Pull(1, 10*time.Millisecond, nil); err != nil && !errors.Is(err, natsconn.ErrPullSilent) {
			t.Error(err)
		}
	}
}

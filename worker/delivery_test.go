package worker

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/internal/testproc"
)

// deliveryOf returns a delivery of a real server.
func deliveryOf(t *testing.T, payload string) *events.Delivery {
	t.Helper()
	cfg := config.Default()
	cfg.NATS.URL = config.NewServerURLs(testproc.StartNATS(t).URL())
	conn, err := events.Connect(cfg.NATS, "test", slog.New(slog.DiscardHandler), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lanes, _, err := events.Ensure(ctx, conn, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lanes.Close)
	nc, err := nats.Connect(cfg.NATS.URL.Reveal(), nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, cfg.Subject, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	var delivery *events.Delivery
	if _, err := lanes.Live.Pull(1, time.Minute, func(d *events.Delivery) { delivery = d }); err != nil || delivery == nil {
		t.Fatalf("no delivery: %v", err)
	}
	return delivery
}

package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/descriptors"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/memory"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/peer"
	"revoker/worker"
	"revoker/worker/authlete"
	"revoker/worker/ops"
)

func newRunCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Revokes sessions until it is stopped",
		Long: `Takes session.ended events and revokes each session, until SIGTERM or SIGINT.
Then it pulls no more events, lets calls in flight finish, hands the rest back and
exits with 0. A second signal ends it at once. Exit code 78 means that the
configuration is wrong. A restart does not help then.

Environment variables configure it:

` + configurationTable(),
		Example: `  AUTHLETE_BASE_URL=https://us.authlete.com AUTHLETE_SERVICE_ID=1234567890 \
  AUTHLETE_BEARER_FILE=/run/secrets/authlete NATS_URL=nats://nats:4222 revoker run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := connection.Load(cmd, config.Config.ValidateAPI)
			if err != nil {
				return err
			}
			log := terminal.NewLogger(cmd.ErrOrStderr(), cfg)
			fits, shortage := descriptors.Fit(cfg.Concurrency)
			if shortage != "" {
				log.Warn("fewer calls will be in flight than configured", "reason", shortage)
			}
			cfg.Concurrency = fits
			memory.Tune(cfg.Concurrency)
			memory.Warn(log, cfg.Concurrency, os.DirFS("/"))
			return work(cmd.Context(), cfg, log, watch{})
		},
	}
}

func configurationTable() string {
	var table strings.Builder
	_ = config.WriteTable(&table) // a strings.Builder takes everything
	return table.String()
}

// watch is told what a worker does. Either may be nil.
type watch struct {
	listening func(address string) // of the HTTP side, host and port; empty if that is off
	settled   func(worker.Settlement)
}

// work is the whole life of a worker, from its connections to its drain.
func work(ctx context.Context, cfg config.Config, log *slog.Logger, watch watch) error {
	api, err := authlete.New(cfg, currentVersion())
	if err != nil {
		return config.Invalid(err)
	}
	defer api.Close()
	registry, self := ops.NewRegistry(), peer.NewIdentity(currentVersion())
	traces, endTraces, err := startTracing(ctx, log)
	if err != nil {
		return config.Invalid(err)
	}
	defer endTraces()
	health, err := ops.Listen(cfg, self, registry, log)
	if err != nil {
		return exit.Problem(err)
	}
	defer health.Close()
	health.Preflight(api)
	observers := []func(worker.Settlement){}
	if health != nil {
		observers = append(observers, worker.NewMetrics(registry, cfg.Objective).Observe, health.Observe)
	}
	var attempts worker.NextAttempts
	observers = append(observers, attempts.Observe)
	if watch.settled != nil {
		observers = append(observers, watch.settled)
	}
	if watch.listening != nil {
		watch.listening(health.Address())
	}
	conn, err := events.Connect(cfg.NATS, "revoker", log, true)
	if err != nil {
		return exit.Problem(err)
	}
	defer conn.Close()
	health.Watch(conn)

	lanes, letters, err := events.Ensure(ctx, conn, cfg)
	switch {
	case ctx.Err() != nil: // stopped while it waited
		return nil
	case err != nil:
		return exit.Problem(err)
	}
	defer lanes.Close()
	w := worker.New(cfg, lanes, letters, api, log, all(observers))
	if cfg.Receipts {
		receipts, err := events.NewReceipts(conn, cfg)
		if err != nil {
			return exit.Problem(err)
		}
		w.Receipts(receipts)
	}
	if traces != nil {
		w.Trace(traces)
	}
	health.Serve(w)
	peer.Answer(conn, cfg, peer.Answerer{
		State: func() peer.State { return self.Sign(health.Complete(w.State())) },
		LetGo: w.LetGo, About: attempts.Of, History: health.Recent,
	})
	w.Run(ctx)
	if err := conn.Flush(connection.FlushTimeout); err != nil {
		log.Warn("the last acknowledgements may be lost; their events are delivered again", "error", err)
	}
	return nil
}

// all tells each observer.
func all(observers []func(worker.Settlement)) func(worker.Settlement) {
	return func(s worker.Settlement) {
		for _, observe := range observers {
			observe(s)
		}
	}
}

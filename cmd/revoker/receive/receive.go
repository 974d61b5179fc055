// Package receive is the command `revoker receive`, which takes signals in over HTTP.
package receive

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/memory"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/receive"
)

// NewCommand is `revoker receive`.
func NewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "receive",
		Short: "Takes signals that sessions ended, over HTTP",
		Long: `Takes signals over HTTP and publishes a session.ended event for each. It answers
success only once the stream has confirmed the event. If NATS is away it answers
503 with Retry-After, and accepts nothing.

  POST /events              the event's JSON, or CloudEvents 1.0, with the bearer
                            token of REVOKER_RECEIVE_TOKEN
  POST /backchannel-logout  OpenID Connect Back-Channel Logout 1.0, of the
                            providers in REVOKER_RECEIVE_ISSUERS_FILE

It is a process of its own, beside the workers, and needs no Authlete variable. Run
two: many providers send a signal only once. It reads the NATS_ and
REVOKER_RECEIVE_ variables, REVOKER_STREAM, REVOKER_SUBJECT, REVOKER_DRAIN_TIMEOUT
and those of the log; ` + "`revoker run --help`" + ` describes them. The stream must exist:
` + "`revoker run`" + ` creates it.

On SIGTERM or SIGINT it takes no more requests, lets those in work finish and exits
with 0. Exit code 78 means that the configuration is wrong.`,
		Example: `  REVOKER_RECEIVE_TOKEN_FILE=/run/secrets/receive NATS_URL=nats://nats:4222 \
  REVOKER_RECEIVE_ISSUERS_FILE=/etc/revoker/issuers.json revoker receive`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := connection.Load(cmd, config.Config.ValidateReceive)
			if err != nil {
				return err
			}
			memory.Tune(cfg.Receive.Concurrency)
			return Run(cmd.Context(), cfg, terminal.NewLogger(cmd.ErrOrStderr(), cfg), nil)
		},
	}
}

// Run is the whole life of a receiver. listening, if not nil, is told where it takes signals.
func Run(ctx context.Context, cfg config.Config, log *slog.Logger, listening func(address string)) error {
	issuers, err := cfg.Receive.ReadIssuers()
	if err != nil {
		return config.Invalid(err)
	}
	conn, err := events.Connect(cfg.NATS, "revoker receive", log, true)
	if err != nil {
		return exit.Problem(err)
	}
	defer conn.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	server, err := receive.New(cfg, issuers, conn, registry, log)
	if err != nil {
		return exit.Problem(err)
	}
	if listening != nil {
		listening(server.Address())
	}
	return exit.Problem(server.Run(ctx))
}

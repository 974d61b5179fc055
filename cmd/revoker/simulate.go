package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/worker/authlete/sim"
)

func newSimulateCommand() *cobra.Command {
	var s simulateOptions
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serves a simulated logout API, to try an installation out",
		Long: `Serves a simulated logout API and publishes sample events. Use it to try out an
installation whose NATS server and workers run elsewhere. ` + "`revoker dev`" + ` needs
neither. Each session that it does not know has two tokens. It accepts any token and
any service, unless AUTHLETE_BEARER and AUTHLETE_SERVICE_ID name one. The NATS_
variables say where the samples go. --rate 0 needs no NATS server.

It revokes no real token. Never point a real worker's AUTHLETE_BASE_URL at it.`,
		Example: "  revoker simulate --addr 127.0.0.1:8081\n  revoker simulate --rate 0",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRate(s.rate); err != nil {
				return err
			}
			cfg, err := connection.Load(cmd)
			if err != nil {
				return err
			}
			return exit.Problem(s.run(cmd.Context(), cfg, terminal.NewLogger(cmd.ErrOrStderr(), cfg)))
		},
	}
	cmd.Flags().StringVar(&s.addr, "addr", "127.0.0.1:8081", "address to listen on")
	cmd.Flags().Float64Var(&s.rate, "rate", 3, "sample events per second; 0 publishes none")
	return cmd
}

type simulateOptions struct {
	addr string
	rate float64
}

func (s simulateOptions) run(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	options := sim.Options{Addr: s.addr, Token: cfg.API.Bearer.Reveal(), Tokens: sampleTokens, Latency: sampleLatency, Jitter: sampleLatency}
	if cfg.API.ServiceID != "" {
		options.Services = []string{cfg.API.ServiceID}
	}
	api, err := sim.Start(options)
	if err != nil {
		return err
	}
	defer api.Close()
	log.Info("serving a simulated logout API", "url", api.URL(), "samples_per_second", s.rate)
	if s.rate == 0 { // it needs no NATS server
		<-ctx.Done()
		return nil
	}
	conn, err := events.Connect(cfg.NATS, "revoker simulate", log, true)
	if err != nil {
		return err
	}
	defer conn.Close()
	publishSamples(ctx, events.NewPublisher(conn, cfg.Subject), api, s.rate, log)
	return nil
}

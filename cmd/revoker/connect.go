package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"revoker/config"
	"revoker/events"
)

// connect reads the configuration and connects for a command that ends soon. The caller closes the connection.
func connect(cmd *cobra.Command) (config.Config, *events.Conn, error) {
	cfg, err := config.Load()
	if err != nil {
		return cfg, nil, config.Invalid(err)
	}
	return connectWith(cmd, cfg, newLogger(cmd.ErrOrStderr(), quiet(cfg)))
}

func connectWith(cmd *cobra.Command, cfg config.Config, log *slog.Logger) (config.Config, *events.Conn, error) {
	conn, err := events.Connect(cfg.NATS, "revoker "+cmd.Name(), log, false)
	return cfg, conn, problem(err)
}

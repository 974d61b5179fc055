// Package connection is how the commands come to a connection to NATS.
package connection

import (
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
)

// FlushTimeout bounds the wait for NATS to take the last acknowledgements.
const FlushTimeout = 5 * time.Second

// Open reads the configuration and connects for a command that ends soon. The caller closes the connection.
func Open(cmd *cobra.Command) (config.Config, *events.Conn, error) {
	cfg, err := config.Load()
	if err != nil {
		return cfg, nil, config.Invalid(err)
	}
	return OpenWith(cmd, cfg, terminal.NewLogger(cmd.ErrOrStderr(), terminal.Quiet(cfg)))
}

// OpenWith is Open for a command that has the configuration and a log of its own.
func OpenWith(cmd *cobra.Command, cfg config.Config, log *slog.Logger) (config.Config, *events.Conn, error) {
	conn, err := events.Connect(cfg.NATS, cmd.CommandPath(), log, false)
	return cfg, conn, exit.Problem(err)
}

// Package connection is how the commands come to a connection to NATS.
package connection

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/complete"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
)

// FlushTimeout bounds the wait for NATS to take the last acknowledgements.
const FlushTimeout = 5 * time.Second

const serverFlag, contextFlag = "server", "context"

// Flags gives commands that connect, and their subcommands, the flags of the NATS CLI.
func Flags(commands ...*cobra.Command) {
	for _, cmd := range commands {
		flags := cmd.PersistentFlags()
		flags.StringP(serverFlag, "s", "", "NATS server URLs, comma-separated, instead of NATS_URL; others see a password in them")
		flags.String(contextFlag, "", "context of the NATS CLI, instead of all NATS_ variables")
		complete.Register(cmd, serverFlag, cobra.NoFileCompletions)
		complete.Register(cmd, contextFlag, complete.Contexts)
	}
}

// Load reads the configuration, and checks more of it than every command needs. The flags of [Flags] win over the environment.
func Load(cmd *cobra.Command, more ...func(config.Config) error) (config.Config, error) {
	value := func(name string) string {
		if flag := cmd.Flag(name); flag != nil {
			return flag.Value.String()
		}
		return ""
	}
	override := config.Override{Server: value(serverFlag), Context: value(contextFlag)}
	if err := config.NewServerURLs(override.Server).Validate(); err != nil {
		return config.Config{}, fmt.Errorf("--%s: %w", serverFlag, err)
	}
	cfg, err := config.Load(override)
	for _, check := range more {
		err = errors.Join(err, check(cfg))
	}
	return cfg, config.Invalid(err)
}

// Open reads the configuration and connects for a command that ends soon. The caller closes the connection.
func Open(cmd *cobra.Command) (config.Config, *events.Conn, error) {
	cfg, err := Load(cmd)
	if err != nil {
		return cfg, nil, err
	}
	return OpenWith(cmd, cfg, terminal.NewLogger(cmd.ErrOrStderr(), terminal.Quiet(cfg)))
}

// OpenWith is Open for a command that has the configuration and a log of its own.
func OpenWith(cmd *cobra.Command, cfg config.Config, log *slog.Logger) (config.Config, *events.Conn, error) {
	conn, err := events.Connect(cfg.NATS, cmd.CommandPath(), log, false)
	return cfg, conn, exit.Problem(err)
}

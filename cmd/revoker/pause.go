package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
)

func newPauseCommand() *cobra.Command {
	var d time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Stops revocation by all workers, until it is resumed",
		Long: `Pauses the JetStream consumer, so that no worker gets events any more, those that
start later included. Calls in flight finish and are settled; events wait in the
stream. A restart, of workers or of NATS, does not end the pause: ` + "`revoker resume`" + `
does, or the end of the time given. It needs NATS server 2.11 or later.

Watch the stream's max age: an event that waits for longer is lost.`,
		Example: "  revoker pause\n  revoker pause --for 30m",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d < 0 || cmd.Flags().Changed("for") && d < time.Second {
				return errors.New("--for: must be at least 1s")
			}
			cfg, conn, err := connection.Open(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			until, err := conn.Pause(cmd.Context(), cfg, d)
			if err != nil {
				return exit.Problem(err)
			}
			return writePause(cmd, asJSON, until)
		},
	}
	cmd.Flags().DurationVar(&d, "for", 0, "how long, 30m for example; until it is resumed if not given")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func writePause(cmd *cobra.Command, asJSON bool, until time.Time) error {
	if asJSON {
		return exit.Problem(terminal.WriteJSON(cmd.OutOrStdout(), struct {
			Paused bool      `json:"paused"`
			Until  time.Time `json:"pausedUntil,omitzero"`
		}{true, until}))
	}
	text := "paused until it is resumed"
	if !until.IsZero() {
		text = "paused until " + terminal.Moment(until)
	}
	text += ": calls in flight finish, no worker gets further events; `revoker resume` ends it"
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return exit.Problem(err)
}

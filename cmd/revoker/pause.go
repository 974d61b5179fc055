package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/events/admin"
)

func newPauseCommand() *cobra.Command {
	var d time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Stops all workers until you resume them",
		Long: `Pauses the JetStream consumer. No worker gets events any more, nor does one that
starts later. Calls in flight finish and are settled. Events wait in the stream.
` + "`revoker resume`" + ` ends the pause, or the end of --for. A restart of workers or of
NATS does not. It needs NATS server 2.11 or later.

Mind the stream's max age: an event that waits longer is lost.`,
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
			until, err := admin.Pause(cmd.Context(), conn, cfg, d)
			if err != nil {
				return exit.Problem(err)
			}
			return writePause(cmd, asJSON, until)
		},
	}
	cmd.Flags().DurationVar(&d, "for", 0, "how long, 30m for example; by default until you resume")
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

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/lane"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events/admin"
)

func newPauseCommand() *cobra.Command {
	var d time.Duration
	var asJSON bool
	var chosen lane.Several
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Stops all workers until you resume them",
		Long: `Pauses the JetStream consumers, those of both lanes unless --lane names one. No worker
gets their events any more, nor does one that starts later. Calls in flight finish and
are settled. Events wait in the stream.
` + "`revoker resume`" + ` ends the pause, or the end of --for. A restart of workers or of
NATS does not. It needs NATS server 2.11 or later.

Mind the stream's max age: an event that waits longer is lost.`,
		Example: "  revoker pause\n  revoker pause --for 30m\n  revoker pause --lane bulk",
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
			lanes, err := chosen.Of(cfg)
			if err != nil {
				return err
			}
			paused, until, err := admin.Pause(cmd.Context(), conn, cfg, lanes, d)
			if err != nil {
				return exit.Problem(lane.Partly("paused", paused, err))
			}
			return writePause(cmd, asJSON, chosen.Title(), paused, until)
		},
	}
	cmd.Flags().DurationVar(&d, "for", 0, "how long, 30m for example; by default until you resume")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	chosen.Declare(cmd)
	return cmd
}

func writePause(cmd *cobra.Command, asJSON bool, title string, paused []config.Lane, until time.Time) error {
	if asJSON {
		return exit.Problem(terminal.WriteJSON(cmd.OutOrStdout(), struct {
			Paused bool          `json:"paused"`
			Lanes  []config.Lane `json:"lanes"`
			Until  time.Time     `json:"pausedUntil,omitzero"`
		}{true, paused, until}))
	}
	text := "paused until it is resumed"
	if !until.IsZero() {
		text = "paused until " + terminal.Moment(until)
	}
	text += ": calls in flight finish, no worker gets further events; `revoker resume` ends it"
	_, err := fmt.Fprintln(cmd.OutOrStdout(), title+text)
	return exit.Problem(err)
}

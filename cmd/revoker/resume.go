package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/lane"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events/admin"
)

func newResumeCommand() *cobra.Command {
	var asJSON bool
	var chosen lane.Several
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Ends a pause, and lets held events go on",
		Long: `Ends a pause that ` + "`revoker pause`" + ` began, in both lanes unless --lane names one.
Workers get events again at once.

Without --lane it also takes off the brake: the workers hold events back after the API answered
CALLER_ERROR for many sessions in a row (REVOKER_CALLER_ERROR_BRAKE). Do that once
you know that those answers are right. All events with that answer then go to the
dead letters, until a session is revoked again.`,
		Example: "  revoker resume\n  revoker resume --lane live",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, conn, err := connection.Open(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			lanes, err := chosen.Of(cfg)
			if err != nil {
				return err
			}
			released := 0
			if chosen.All() { // what the API answers concerns both lanes
				released, err = admin.LetGo(cmd.Context(), conn, cfg)
			}
			were, resumeErr := admin.Resume(cmd.Context(), conn, cfg, lanes)
			if released > 0 && err == nil && errors.Is(resumeErr, admin.ErrNoPause) {
				resumeErr = nil // there was no pause to end
			}
			if err := errors.Join(err, resumeErr); err != nil {
				return exit.Problem(lane.Partly("resumed", were, err))
			}
			if asJSON {
				return exit.Problem(terminal.WriteJSON(cmd.OutOrStdout(), struct {
					Paused   bool          `json:"paused"`
					Was      bool          `json:"wasPaused"`
					Lanes    []config.Lane `json:"lanes"` // that were paused
					Released int           `json:"workersLetGo"`
				}{false, len(were) > 0, were, released}))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), chosen.Title()+resumeText(len(were) > 0, released))
			return exit.Problem(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	chosen.Declare(cmd)
	return cmd
}

func resumeText(was bool, released int) string {
	text := "resumed"
	if !was {
		text = "it was not paused"
	}
	if released > 0 {
		text += fmt.Sprintf("; %s let the events go on that CALLER_ERROR held back", terminal.Counted(released, "worker"))
	}
	return text
}

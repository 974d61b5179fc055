package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/events/admin"
)

func newResumeCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Ends a pause, and lets held events go on",
		Long: `Ends a pause that ` + "`revoker pause`" + ` began. Workers get events again at once.

It also takes off the brake: the workers hold events back after the API answered
CALLER_ERROR for many sessions in a row (REVOKER_CALLER_ERROR_BRAKE). Do that once
you know that those answers are right. All events with that answer then go to the
dead letters, until a session is revoked again.`,
		Example: "  revoker resume",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, conn, err := connection.Open(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			released, err := admin.LetGo(cmd.Context(), conn, cfg)
			was, resumeErr := admin.Resume(cmd.Context(), conn, cfg)
			if released > 0 && err == nil && errors.Is(resumeErr, admin.ErrNoPause) {
				resumeErr = nil // there was no pause to end
			}
			if err := errors.Join(err, resumeErr); err != nil {
				return exit.Problem(err)
			}
			if asJSON {
				return exit.Problem(terminal.WriteJSON(cmd.OutOrStdout(), map[string]any{"paused": false, "wasPaused": was, "workersLetGo": released}))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), resumeText(was, released))
			return exit.Problem(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
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

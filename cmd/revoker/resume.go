package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/events"
)

func newResumeCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Ends a pause, and lets held events go on",
		Long: `Ends what ` + "`revoker pause`" + ` began: workers get events again at once.

It also lets the events go on that the workers hold back because the API answered
CALLER_ERROR for many sessions in a row (REVOKER_CALLER_ERROR_BRAKE). Do that once
you know that those answers are right: events with that answer go to the dead
letters, whatever their number, until a session is revoked again.`,
		Example: "  revoker resume",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, conn, err := connection.Open(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			released, err := conn.LetGo(cmd.Context(), cfg)
			was, resumeErr := conn.Resume(cmd.Context(), cfg)
			if released > 0 && err == nil && errors.Is(resumeErr, events.ErrNoPause) {
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

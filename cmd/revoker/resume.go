package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newResumeCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "resume",
		Short:   "Ends a pause",
		Long:    "Ends what `revoker pause` began: workers get events again at once.",
		Example: "  revoker resume",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			was, err := conn.Resume(cmd.Context(), cfg)
			if err != nil {
				return problem(err)
			}
			if asJSON {
				return problem(writeJSON(cmd.OutOrStdout(), map[string]bool{"paused": false, "wasPaused": was}))
			}
			text := "resumed"
			if !was {
				text = "it was not paused"
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return problem(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

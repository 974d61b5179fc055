//go:build nodev

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

const devExample = ""

// devCommands has a command that says why it is not here, for who read of it in the README.
func devCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:                "dev",
		Short:              "Is not in this build",
		Example:            "  go run ./cmd/revoker dev    # from the source",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("this build has no `dev`: it was built with the tag nodev, as the container image is, since dev's NATS server is a third of the program; " +
				"run it from the source: go run ./cmd/revoker dev")
		},
	}}
}

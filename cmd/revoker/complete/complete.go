// Package complete is what a shell offers as the values of flags.
package complete

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"revoker/events"
	"revoker/events/eventfile"
)

// Register offers values for a flag of a command. It panics if the command has no such flag.
func Register(cmd *cobra.Command, flag string, values cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(err) // a mistake in this program, caught by any test
	}
}

// fixed offers the same values always, and no files.
func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

var (
	// Reasons completes the reason of a dead letter.
	Reasons = fixed(events.ReasonCallerError, events.ReasonInvalidEvent, events.ReasonRetriesExhausted)
	// Formats completes the format of a file of events.
	Formats = fixed(string(eventfile.Detect), string(eventfile.Lines), string(eventfile.CSV), string(eventfile.JSON))
	// Lane completes the --lane of what publishes, and Lanes that of what may mean all.
	Lane  = fixed("live", "bulk")
	Lanes = fixed("live", "bulk", "all")
)

// Contexts completes the names of the contexts that the NATS CLI keeps.
func Contexts(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	const suffix = ".json"
	parent, err := configFolder()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	files, _ := filepath.Glob(filepath.Join(parent, "nats", "context", "*"+suffix))
	var names []string
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), suffix); strings.HasPrefix(name, typed) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

// configFolder is where the NATS CLI looks, on every system.
func configFolder() (string, error) {
	if folder := os.Getenv("XDG_CONFIG_HOME"); folder != "" {
		return folder, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".config"), err
}

// Command revoker takes session.ended events from NATS JetStream and revokes each session at Authlete's logout API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/dlq"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/publish"
	"revoker/cmd/revoker/receive"
)

func main() {
	// net/http writes there, word for word, what a server sends unasked, and a session ID may be in it.
	log.SetOutput(io.Discard)
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command. The first SIGINT or SIGTERM ends its context; a second one ends the process at once.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case <-signals:
			// The second signal finds the default behaviour again. Only then does anybody hear of the first one: who sees that the
			// process drains can end it at once.
			signal.Stop(signals)
			end()
		case <-ctx.Done():
		}
	}()
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if answer := exit.Answer(0); !errors.As(err, &answer) {
		fmt.Fprintf(errOut, "revoker: %s\n", withHelp(cmd, err))
	}
	return exit.Code(err)
}

// withHelp adds where to read on to what cobra itself says of a command that does not exist, and of too many or too few arguments.
func withHelp(cmd *cobra.Command, err error) string {
	text := err.Error()
	if strings.HasPrefix(text, "unknown command ") || strings.HasPrefix(text, "accepts ") {
		text = fmt.Sprintf("%s\n`%s --help` lists what there is", strings.TrimSpace(text), cmd.CommandPath())
	}
	return text
}

// connects names the commands that connect to the configured NATS server.
var connects = map[string]bool{
	"run": true, "publish": true, "dlq": true, "simulate": true, "status": true, "session": true, "pause": true, "resume": true, "setup": true, "check": true,
	"receive": true,
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "revoker",
		Short: "Revokes the tokens of sessions that an identity provider ended",
		Long: `revoker takes session.ended events from NATS JetStream. For each it calls Authlete's
/nativesso/logout API. A logout then ends the tokens that apps still hold.

Every ended session is revoked, or is on the dead-letter subject with the reason.

Exit codes: 0 done, 1 a problem, 2 wrong usage, 78 wrong configuration.`,
		Example:       devExample + "  revoker run --help  # the configuration",
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newRunCommand(), publish.NewCommand(), dlq.NewCommand(), newVersionCommand(), newSimulateCommand(), receive.NewCommand())
	root.AddCommand(newStatusCommand(), newSessionCommand(), newPauseCommand(), newResumeCommand(), newSetupCommand(), newCheckCommand(), newHealthCommand())
	root.AddCommand(devCommands()...)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w\n`%s --help` lists the flags", err, cmd.CommandPath())
	})
	for _, cmd := range root.Commands() {
		if connects[cmd.Name()] {
			connection.Flags(cmd)
		}
	}
	return root
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/worker/ops"
)

func newHealthCommand() *cobra.Command {
	var live, asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Asks a running worker whether it is ready",
		Long: `Asks the worker on this machine, at REVOKER_OPS_ADDR, whether it is ready. It prints
each condition. It is for containers, which have no shell and no curl.

Exit codes: 0 ready, 1 not ready or no answer, 2 wrong usage, 78 wrong configuration.
Use --live if a failure leads to a restart. A worker that waits for NATS or has a
wrong token is alive: a restart helps neither.`,
		Example: "  revoker health\n  revoker health --live --timeout 1s\n  revoker health --json | jq '.conditions[] | select(.ok | not)'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load()
			switch {
			case err != nil:
				return config.Invalid(err)
			case cfg.OpsAddr == "":
				return config.Invalid(errors.New("REVOKER_OPS_ADDR: empty, so there is no address to ask"))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			print := printReady
			switch {
			case live && asJSON:
				print = printLiveJSON
			case live:
				print = printLive
			case asJSON:
				print = printReadyJSON
			}
			return exit.Problem(print(ctx, cmd.OutOrStdout(), cfg.OpsAddr))
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "ask whether the worker is alive instead")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, also where there is no answer")
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	return cmd
}

func printLive(ctx context.Context, out io.Writer, addr string) error {
	if err := ops.AskLive(ctx, addr); err != nil {
		return fmt.Errorf("not alive: %w", unanswered(err))
	}
	_, err := fmt.Fprintln(out, "alive")
	return err
}

func printLiveJSON(ctx context.Context, out io.Writer, addr string) error {
	err := ops.AskLive(ctx, addr)
	if err != nil {
		err = fmt.Errorf("not alive: %w", unanswered(err))
	}
	return errors.Join(err, terminal.WriteJSON(out, struct {
		Alive bool   `json:"alive"`
		Error string `json:"error,omitempty"`
	}{err == nil, text(err)}))
}

// printReadyJSON prints an object even if nobody answers, so that a program need not read two kinds of output.
func printReadyJSON(ctx context.Context, out io.Writer, addr string) error {
	r, err := ops.AskReady(ctx, addr)
	err = unanswered(err)
	answer := struct {
		ops.Readiness
		Error string `json:"error,omitempty"`
	}{r, text(err)}
	if err == nil && !r.Ready {
		err = errNotReady
	}
	if answer.Conditions == nil {
		answer.Conditions = []ops.Condition{}
	}
	if answer.Warnings == nil {
		answer.Warnings = []ops.Warning{}
	}
	return errors.Join(err, terminal.WriteJSON(out, answer))
}

// unanswered adds what to do where nobody listens.
func unanswered(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w; see whether the worker runs on this machine, and with this REVOKER_OPS_ADDR", err)
	}
	return err
}

// text is what an error says, empty without one.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

var errNotReady = errors.New("not ready")

func printReady(ctx context.Context, out io.Writer, addr string) error {
	r, err := ops.AskReady(ctx, addr)
	if err != nil {
		return unanswered(err)
	}
	for _, c := range r.Conditions {
		state := "ok"
		if !c.OK {
			state = "FAILS: " + terminal.Printable(c.Reason, "")
		}
		fmt.Fprintf(out, "%-15s %s\n", c.Name, state)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(out, "%-15s warning: %s\n", w.Name, terminal.Printable(w.Reason, ""))
	}
	if !r.Ready {
		return errNotReady
	}
	return nil
}

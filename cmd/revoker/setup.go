package main

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/dlq"
)

func newSetupCommand() *cobra.Command {
	var s setup
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Creates streams and consumer, or changes them to the configuration",
		Long: `Creates the event stream, the dead-letter stream and the consumer if they are
missing, and with REVOKER_RECEIPTS=true the receipt stream. If they exist, it shows
how they differ from the configuration, and changes them.

It never deletes a message. It keeps limits that are more generous than revoker's
own, and further replicas and subjects. Some settings can't be changed in place, or
only by deleting or skipping messages. It leaves those alone, says what to do
instead, and exits with 1.

It creates without asking. It asks before it changes what exists. Without a
terminal it needs --yes for that. It reads the NATS_ variables and the names of
streams, subjects and consumer.`,
		Example: "  revoker setup --dry-run\n  revoker setup\n  REVOKER_REPLICAS=3 revoker setup --yes",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	cmd.Flags().BoolVar(&s.dryRun, "dry-run", false, "show the difference and change nothing")
	cmd.Flags().BoolVar(&s.yes, "yes", false, "don't ask")
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON")
	return cmd
}

type setup struct{ dryRun, yes, json bool }

func (s setup) run(cmd *cobra.Command) error {
	cfg, conn, err := connection.Open(cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	plan, err := events.MakePlan(cmd.Context(), conn, cfg)
	if err != nil {
		return exit.Problem(err)
	}
	if !s.json {
		writePlan(cmd.OutOrStdout(), plan)
	}
	applied := false
	if !s.dryRun && plan.Creates()+plan.Changes() > 0 {
		if err := s.agree(cmd, plan); err != nil {
			return err
		}
		if err := s.apply(cmd, conn, cfg, plan); err != nil {
			return exit.Problem(err)
		}
		applied = true
	}
	if s.json {
		err = terminal.WriteJSON(cmd.OutOrStdout(), struct {
			events.Plan
			Applied bool `json:"applied"`
		}{plan, applied})
	} else {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), s.summary(plan, applied))
	}
	if n := plan.Refused(); n > 0 {
		return exit.Problem(fmt.Errorf("%s can't be changed in place", terminal.Counted(n, "setting")))
	}
	return exit.Problem(err)
}

// agree asks before anything that exists is changed. Without anybody to ask, --yes is missing: that is wrong usage, as in `dlq rm`.
func (s setup) agree(cmd *cobra.Command, plan events.Plan) error {
	changes := terminal.Counted(plan.Changes(), "setting") + " of what exists would change"
	switch {
	case plan.Changes() == 0 || s.yes:
		return nil
	case s.json:
		return fmt.Errorf("--json asks nothing, and %s: use --yes to change without being asked, or --dry-run to see the difference; nothing was done", changes)
	case !terminal.CanAsk(cmd.InOrStdin()):
		return fmt.Errorf("there is no terminal to ask on, and %s: use --yes to change without being asked, or --dry-run to see the difference; nothing was done", changes)
	}
	question := fmt.Sprintf("Change %s of what exists?", terminal.Counted(plan.Changes(), "setting"))
	return exit.Problem(terminal.Confirm(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), question))
}

// apply does what was agreed to, unless it has changed since.
func (s setup) apply(cmd *cobra.Command, conn *events.Conn, cfg config.Config, agreed events.Plan) error {
	now, err := events.MakePlan(cmd.Context(), conn, cfg)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(facts(now), facts(agreed)) {
		return errors.New("somebody else changed streams or consumer meanwhile: nothing was done; run it again")
	}
	return now.Apply(cmd.Context())
}

// facts are what a plan shows.
func facts(plan events.Plan) (list []string) {
	for _, o := range plan.Objects {
		list = append(list, fmt.Sprint(o.Kind, o.Name, o.Missing, o.Differences))
	}
	return list
}

func (s setup) summary(plan events.Plan, applied bool) string {
	creates, changes := plan.Creates(), plan.Changes()
	what := fmt.Sprintf("%s to create, %s to change", terminal.Counted(creates, "object"), terminal.Counted(changes, "setting"))
	switch {
	case creates+changes == 0 && plan.Refused() == 0:
		return "everything is as configured"
	case creates+changes == 0:
		return "nothing that could be changed"
	case applied:
		return fmt.Sprintf("%s created, %s changed", terminal.Counted(creates, "object"), terminal.Counted(changes, "setting"))
	}
	return what + "; nothing was done"
}

// writePlan shows what differs: a line for each setting, and what to do about those that can't be changed.
func writePlan(out io.Writer, plan events.Plan) {
	if plan.Creates()+plan.Changes()+plan.Refused() == 0 {
		return
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tOBJECT\tSETTING\tPRESENT\tWANTED")
	var refused []string
	for _, o := range plan.Objects {
		name := o.Kind + " " + o.Name
		for _, d := range o.Differences {
			mark, present := "~", terminal.Printable(d.Present, "")
			switch {
			case o.Missing:
				mark, present = "+", dlq.NoResultCode
			case d.Remedy != "":
				mark = "!"
				refused = append(refused, fmt.Sprintf("! %s: %s", name, terminal.Printable(d.String()+"; "+d.Remedy, "")))
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", mark, name, d.Setting, present, d.Wanted)
		}
	}
	_ = table.Flush() // the summary that follows meets the same error
	for _, line := range refused {
		fmt.Fprintf(out, "\n%s\n", line)
	}
	fmt.Fprintln(out)
}

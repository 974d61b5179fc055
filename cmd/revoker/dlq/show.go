package dlq

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/events/dlq"
)

func newShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show SEQ",
		Short: "Shows one dead letter with all its facts, session ID included",
		Long: `Shows one dead letter with all its facts, and the event's headers and payload.
It prints the session ID in clear. It escapes control characters.`,
		Example: "  revoker dlq show 17\n  revoker dlq show 17 --json | jq -r .payload",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("say which dead letter to show: one sequence; `revoker dlq ls` lists them")
			}
			sequences, err := parseSequences(args[0])
			if err == nil && sequences.First != sequences.Last {
				err = errors.New("show takes one sequence; `revoker dlq ls` lists many")
			}
			if err != nil {
				return err
			}
			store, conn, _, err := openLetters(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			letter, err := store.Get(cmd.Context(), sequences.First)
			switch {
			case err != nil:
			case asJSON:
				err = terminal.WriteJSON(cmd.OutOrStdout(), newShownJSON(letter))
			default:
				err = writeLetter(cmd.OutOrStdout(), letter)
			}
			return exit.Problem(err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// writeLetter prints all there is to know of a letter.
func writeLetter(out io.Writer, l dlq.StoredLetter) error {
	fmt.Fprintf(out, "Dead letter %s, stored %s\n\n", terminal.Printable(l.Name(), ""), terminal.Moment(l.Stored))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, fact := range letterFacts(l) {
		if fact[1] != "" {
			fmt.Fprintf(table, "  %s\t%s\n", fact[0], terminal.Printable(fact[1], ""))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if own := l.OwnHeader(); len(own) > 0 {
		fmt.Fprintln(out, "\nHeaders of the event")
		for _, name := range slices.Sorted(maps.Keys(own)) {
			for _, value := range own[name] {
				fmt.Fprintf(out, "  %s: %s\n", terminal.Printable(name, ""), terminal.Printable(value, ""))
			}
		}
	}
	_, err := fmt.Fprintf(out, "\nPayload, %s\n  %s\n", terminal.Counted(len(l.Payload), "byte"),
		strings.ReplaceAll(terminal.Printable(strings.TrimRight(string(l.Payload), "\n"), "\n\t"), "\n", "\n  "))
	return err
}

func letterFacts(l dlq.StoredLetter) [][2]string {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	event, session := "", ""
	if l.Origin.Stream != "" {
		event = fmt.Sprintf("%s/%d on %s", l.Origin.Stream, l.Origin.Sequence, l.Origin.Subject)
	}
	if l.SessionID != "" {
		session = fmt.Sprintf("%s (%s)", string(l.SessionID), l.SessionID.Mask())
	}
	return [][2]string{
		{"reason", l.Reason}, {"error", l.Error}, {"HTTP status", number(l.HTTPStatus)}, {"result code", l.ResultCode},
		{"result message", l.ResultMessage}, {"session", session}, {"event", event}, {"message ID", l.Origin.MessageID},
		{"published", terminal.Moment(l.Origin.Published)}, {"dead-lettered", terminal.Moment(l.Origin.DeadLettered)},
		{"deliveries", number(l.Origin.Deliveries)}, {"consumer", l.Origin.Consumer}, {"replay of", l.ReplayOf},
		{"headers omitted", number(l.HeadersOmitted)}, {"bytes omitted", number(l.PayloadOmitted)},
	}
}

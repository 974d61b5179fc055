package dlq

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strconv"
	"text/tabwriter"

	"revoker/cmd/revoker/terminal"
	"revoker/events"
	"revoker/events/dlq"
)

// letterSeq is letters one after the other; an error ends them.
type letterSeq = iter.Seq2[dlq.StoredLetter, error]

// writeList prints the groups, then the letters, of which there are all or the newest.
func writeList(out io.Writer, stream string, groups *dlq.LetterGroups, letters letterSeq, listed int, all bool) error {
	fmt.Fprintf(out, "%s in %s\n\n", terminal.Counted(groups.Total, "dead letter"), stream)
	if err := writeGroups(out, groups); err != nil || listed == 0 && !all {
		return err
	}
	fmt.Fprintln(out)
	if !all && listed < groups.Total {
		fmt.Fprintf(out, "the newest %d; --all lists all\n", listed)
	}
	return writeRows(out, letters)
}

func writeGroups(out io.Writer, groups *dlq.LetterGroups) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "REASON\tCODE\tCOUNT\tOLDEST\tNEWEST\tEXAMPLE")
	for _, g := range groups.List() {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%d\n",
			cell(g.Reason), cell(g.ResultCode), g.Count, terminal.Moment(g.Oldest), terminal.Moment(g.Newest), g.Example)
	}
	return table.Flush()
}

// The columns of letters have fixed widths, since the rows may be too many to be measured first.
const letterRow = "%10s  %-20s  %-17s  %-8s  %-12s  %s\n"

func writeRows(out io.Writer, letters letterSeq) error {
	width := terminal.Width(out)
	const before = 10 + 20 + 17 + 8 + 12 + 5*2
	buffered := bufio.NewWriter(out)
	fmt.Fprintf(buffered, letterRow, "SEQ", "STORED", "REASON", "CODE", "SESSION", "ERROR")
	for letter, err := range letters {
		if err != nil {
			return err
		}
		text := terminal.Printable(events.MaskIn(letter.Error, letter.SessionID), "")
		if letter.ReplayOf != "" {
			text = "replay of " + letter.ReplayOf + ": " + text
		}
		if width > 0 {
			text = terminal.Cut(text, max(width-before, 20))
		}
		if _, err := fmt.Fprintf(buffered, letterRow, strconv.FormatUint(letter.Sequence, 10), terminal.Moment(letter.Stored), cell(letter.Reason),
			cell(letter.ResultCode), cell(letter.SessionID.Mask()), text); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

// cell is a fact in a table.
func cell(text string) string {
	if text == "" {
		return dlq.NoResultCode
	}
	return terminal.Printable(text, "")
}

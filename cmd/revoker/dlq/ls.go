package dlq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/terminal"
	"revoker/events"
)

func newListCommand() *cobra.Command {
	var list letterList
	var filter letterFilter
	cmd := &cobra.Command{
		Use:   "ls [SEQ...]",
		Short: "Counts dead letters by reason and result code, then lists the newest",
		Long: `Counts the dead letters by reason and result code, with the sequence of the newest
in each group, then lists the newest letters. Filters narrow both. Sessions
appear by the first 12 hex digits of their SHA-256.

` + sequenceHelp,
		Example: `  revoker dlq ls
  revoker dlq ls --reason CALLER_ERROR --since 2h --all
  revoker dlq ls --session ba7816bf8f01 --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			selection, err := filter.selection(args, time.Now())
			if err != nil {
				return err
			}
			if list.limit < 0 {
				return errors.New("--limit: must not be negative")
			}
			store, conn, cfg, err := openLetters(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			list.stream = cfg.DeadLetterStream
			return reading(list.print(cmd.Context(), store, selection, cmd.OutOrStdout(), cmd.ErrOrStderr()))
		},
	}
	filter.declare(cmd)
	cmd.Flags().IntVar(&list.limit, "limit", 20, "list so many of the newest letters; 0 prints the groups alone")
	cmd.Flags().BoolVar(&list.all, "all", false, "list all letters")
	cmd.Flags().BoolVar(&list.json, "json", false, "print JSON")
	return cmd
}

// letterList is what `dlq ls` was asked for.
type letterList struct {
	stream    string
	limit     int
	all, json bool
}

// print reads the letters once to count them, and a second time if all are to be listed, so that memory stays flat.
func (l letterList) print(ctx context.Context, store *events.LetterStore, selection events.Selection, out, errOut io.Writer) error {
	var groups events.LetterGroups
	newest := newestLetters{most: l.limit}
	bar := terminal.NewProgress(errOut, int64(store.Stored()), "dead letters")
	for letter, err := range store.All(ctx, selection, bar.Add) {
		if err != nil {
			bar.Finish()
			return err
		}
		groups.Add(letter)
		newest.add(letter)
	}
	bar.Finish()
	letters := newest.all()
	if l.all {
		letters = store.All(ctx, selection, nil)
	}
	if l.json {
		return writeListJSON(out, l.stream, &groups, letters)
	}
	if groups.Total == 0 {
		which := "no dead letter in %s\n"
		if !selection.IsZero() {
			which = "no dead letter in %s matches\n"
		}
		_, err := fmt.Fprintf(out, which, l.stream)
		return err
	}
	return writeList(out, l.stream, &groups, letters, min(l.limit, groups.Total), l.all)
}

// newestLetters keeps the newest of all letters that are added, without their payloads.
type newestLetters struct {
	most int
	ring []events.StoredLetter
	next int
}

func (n *newestLetters) add(letter events.StoredLetter) {
	letter.Header, letter.Payload = nil, nil
	switch {
	case n.most == 0:
	case len(n.ring) < n.most:
		n.ring = append(n.ring, letter)
	default:
		n.ring[n.next] = letter
		n.next = (n.next + 1) % n.most
	}
}

func (n *newestLetters) all() letterSeq {
	return func(yield func(events.StoredLetter, error) bool) {
		for i := range n.ring {
			if !yield(n.ring[(n.next+i)%len(n.ring)], nil) {
				return
			}
		}
	}
}

package dlq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/terminal"
	"revoker/events/dlq"
)

func newListCommand() *cobra.Command {
	var list letterList
	var filter letterFilter
	cmd := &cobra.Command{
		Use:   "ls [SEQ...]",
		Short: "Counts dead letters by reason and result code, then lists the newest",
		Long: `Counts the dead letters by reason and result code, with an example of each group.
Then it lists the newest letters. Filters apply to both. A session appears as the
first 12 hex digits of the SHA-256 of its ID.

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
	cmd.Flags().IntVar(&list.limit, "limit", 20, "how many of the newest letters to list; 0 prints only the groups")
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
func (l letterList) print(ctx context.Context, store *dlq.LetterStore, selection dlq.Selection, out, errOut io.Writer) error {
	var groups dlq.LetterGroups
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
	ring []dlq.StoredLetter
	next int
}

func (n *newestLetters) add(letter dlq.StoredLetter) {
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
	return func(yield func(dlq.StoredLetter, error) bool) {
		for i := range n.ring {
			if !yield(n.ring[(n.next+i)%len(n.ring)], nil) {
				return
			}
		}
	}
}

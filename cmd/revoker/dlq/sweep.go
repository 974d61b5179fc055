package dlq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/dlq"
)

// letterAct does one thing to one letter.
type letterAct = func(context.Context, dlq.StoredLetter) error

// letterSweep is what `dlq replay` and `dlq rm` have in common: they choose letters, say how many, ask, and do one thing
// to each.
type letterSweep struct {
	verb, done string // "replay", "replayed"
	// ask is the question's text, after the number of letters.
	ask func(config.Config) string
	// prepare finds what is needed before anything is asked, and returns what to do to one letter. repeated is to be
	// called for a letter whose event an earlier run had published.
	prepare func(ctx context.Context, conn *events.Conn, cfg config.Config, store *dlq.LetterStore, repeated func()) (letterAct, error)
	// check, if any, refuses wrong usage of what only one of them has.
	check func() error

	filter                 letterFilter
	all, yes, dryRun, json bool
	limit                  int
	rate                   float64
}

func (s *letterSweep) declare(cmd *cobra.Command) {
	s.filter.declare(cmd)
	cmd.Flags().BoolVar(&s.all, "all", false, s.verb+" all dead letters")
	cmd.Flags().BoolVar(&s.yes, "yes", false, "don't ask")
	cmd.Flags().BoolVar(&s.dryRun, "dry-run", false, "say what would be "+s.done+", and do nothing")
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON")
	cmd.Flags().IntVar(&s.limit, "limit", 0, s.verb+" at most so many, the oldest first; 0 sets no limit")
	cmd.Flags().Float64Var(&s.rate, "rate", 0, s.verb+" at most so many per second; 0 sets no limit")
}

// wrongUsage refuses what can be refused without a look at the stream.
func (s *letterSweep) wrongUsage(cmd *cobra.Command, selection dlq.Selection) error {
	if s.check != nil {
		if err := s.check(); err != nil {
			return err
		}
	}
	switch {
	case s.limit < 0:
		return errors.New("--limit: must not be negative")
	case s.rate < 0:
		return errors.New("--rate: must not be negative")
	case s.all && !selection.IsZero():
		return errors.New("use either --all or a choice of letters")
	case !s.all && selection.IsZero():
		return fmt.Errorf("say which dead letters to %s: sequences, a filter such as --reason, or --all", s.verb)
	case !s.yes && !s.dryRun && !terminal.CanAsk(cmd.InOrStdin()):
		return fmt.Errorf("there is no terminal to ask on: use --yes to %s without being asked, or --dry-run to see what would be %s", s.verb, s.done)
	}
	return nil
}

func (s *letterSweep) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	selection, err := s.filter.selection(args, time.Now())
	if err != nil {
		return err
	}
	if err := s.wrongUsage(cmd, selection); err != nil {
		return err
	}
	store, conn, cfg, err := openLetters(ctx, cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	tally := &sweepTally{sweep: s, refused: map[string]*refusal{}}
	do, err := s.prepare(ctx, conn, cfg, store, func() { tally.repeated.Add(1) })
	if err != nil {
		return exit.Problem(err)
	}
	if tally.chosen, err = s.choose(cmd, store, selection); err != nil {
		return reading(err)
	}
	goOn, err := s.confirm(cmd, cfg, tally.chosen)
	if err != nil {
		return exit.Problem(err)
	}
	if goOn {
		s.sweep(cmd, tally, store.All(ctx, selection, nil), do)
	}
	return exit.Problem(tally.report(cmd.OutOrStdout()))
}

// choose reads the letters a first time, to say how many there are.
func (s *letterSweep) choose(cmd *cobra.Command, store *dlq.LetterStore, selection dlq.Selection) (*choice, error) {
	bar := terminal.NewProgress(cmd.ErrOrStderr(), int64(store.Stored()), "dead letters")
	defer bar.Finish()
	return choose(store.All(cmd.Context(), selection, bar.Add), selection, s.limit)
}

// sweep reads the letters a second time, and acts on each.
func (s *letterSweep) sweep(cmd *cobra.Command, tally *sweepTally, letters letterSeq, do letterAct) {
	bar := terminal.NewProgress(cmd.ErrOrStderr(), int64(tally.chosen.groups.Total), "dead letters")
	defer bar.Finish()
	tally.swept = true
	tally.err = dlq.Sweep(cmd.Context(), tally.chosen.again(letters), s.rate, do, func(l dlq.StoredLetter, err error) {
		tally.add(l, err)
		bar.Add(1)
	})
}

// confirm says how many letters were chosen, and asks. It reports false if there is nothing to do.
func (s *letterSweep) confirm(cmd *cobra.Command, cfg config.Config, c *choice) (bool, error) {
	if !s.json && c.groups.Total > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "%s in %s to %s\n\n", terminal.Counted(c.groups.Total, "dead letter"), cfg.DeadLetterStream, s.verb)
		if err := writeGroups(cmd.OutOrStdout(), &c.groups); err != nil {
			return false, err
		}
		fmt.Fprintln(cmd.OutOrStdout())
	}
	if c.groups.Total == 0 || s.dryRun {
		return false, nil
	}
	if s.yes {
		return true, nil
	}
	err := terminal.Confirm(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), fmt.Sprintf(s.ask(cfg), terminal.Counted(c.groups.Total, "dead letter")))
	return err == nil, err
}

// Package dlq is the command `revoker dlq` with its subcommands, which list, show, replay and delete dead letters.
package dlq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/complete"
	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/config"
	"revoker/events"
	"revoker/events/dlq"
)

// NewCommand is `revoker dlq`.
func NewCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "Lists, shows, replays and deletes dead letters",
		Long: `Lists, shows, replays and deletes dead letters. A dead letter is an event that
revoker gave up, with the reason. The commands read the NATS_ variables and the
names of streams and subjects. They do not call the API.`,
		Example: `  revoker dlq ls                                      # what is wrong
  revoker dlq show 17                                 # one letter with all its facts
  revoker dlq replay --reason CALLER_ERROR --dry-run  # what would be published again
  revoker dlq rm 17 20-25`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newListCommand(), newShowCommand(), newReplayCommand(), newRemoveCommand())
	return cmd
}

// openLetters connects and finds the dead-letter stream. The caller closes the connection.
func openLetters(ctx context.Context, cmd *cobra.Command) (*dlq.LetterStore, *events.Conn, config.Config, error) {
	cfg, conn, err := connection.Open(cmd)
	if err != nil {
		return nil, nil, cfg, err
	}
	store, err := dlq.OpenLetters(ctx, conn, cfg)
	if err != nil {
		conn.Close()
		return nil, nil, cfg, exit.Problem(err)
	}
	return store, conn, cfg, nil
}

// reading puts the error of a look at the letters into an operator's words.
func reading(err error) error {
	if errors.Is(err, context.Canceled) {
		return exit.Problem(errors.New("interrupted; nothing was done"))
	}
	return exit.Problem(err)
}

// letterFilter is the flags that choose dead letters, as they were given.
type letterFilter struct {
	reason, code, since, until, session string
	sequences                           []string
}

const sequenceHelp = `A dead letter is named by its sequence in the dead-letter stream: 17, 20-25, or 30-
for all from 30 on.`

func (f *letterFilter) declare(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.reason, "reason", "", "letters of this reason: CALLER_ERROR, INVALID_EVENT or RETRIES_EXHAUSTED")
	cmd.Flags().StringVar(&f.code, "code", "", "letters with this result code of the API; - means without one")
	cmd.Flags().StringVar(&f.since, "since", "", "letters from this time on: RFC 3339, or a duration before now such as 90m or 2d")
	cmd.Flags().StringVar(&f.until, "until", "", "letters before this time")
	cmd.Flags().StringVar(&f.session, "session", "",
		"letters of this session: its mask of 12 hex digits, or its ID, which others on the machine can then see")
	cmd.Flags().StringSliceVar(&f.sequences, "seq", nil, "letters of these sequences, as in the arguments")
	complete.Register(cmd, "reason", complete.Reasons)
}

// selection reads the flags and arguments. Its errors name the flag and quote no session ID.
func (f *letterFilter) selection(args []string, now time.Time) (dlq.Selection, error) {
	s := dlq.Selection{Reason: f.reason, ResultCode: f.code, Session: f.session}
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	var err error
	s.Since, err = parseMoment("--since", f.since, now)
	note(err)
	s.Until, err = parseMoment("--until", f.until, now)
	note(err)
	if !s.Since.IsZero() && !s.Until.IsZero() && !s.Since.Before(s.Until) {
		note(errors.New("--since must be before --until"))
	}
	for _, text := range append(args, f.sequences...) {
		r, err := parseSequences(text)
		s.Sequences = append(s.Sequences, r)
		note(err)
	}
	switch strings.ToUpper(f.reason) {
	case "", events.ReasonCallerError, events.ReasonInvalidEvent, events.ReasonRetriesExhausted:
	default:
		note(errors.New("--reason: must be CALLER_ERROR, INVALID_EVENT or RETRIES_EXHAUSTED"))
	}
	return s, errors.Join(errs...)
}

// parseMoment reads an RFC 3339 time, or a duration before now, which may be in days.
func parseMoment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("%s: must be an RFC 3339 time (%s) or a duration (90m, 2d)", flag, now.UTC().Format(time.RFC3339))
	}
	return now.Add(-d), nil
}

// parseSequences reads 17, 20-25 or 30-.
func parseSequences(text string) (dlq.SequenceRange, error) {
	from, to, isRange := strings.Cut(text, "-")
	first, err := strconv.ParseUint(from, 10, 64)
	last := first
	if isRange && to == "" {
		last = dlq.OpenEnd
	} else if isRange && err == nil {
		last, err = strconv.ParseUint(to, 10, 64)
	}
	if err != nil || first == 0 || last < first {
		return dlq.SequenceRange{}, fmt.Errorf("%q is not a sequence: 17, 20-25 or 30-", text)
	}
	return dlq.SequenceRange{First: first, Last: last}, nil
}

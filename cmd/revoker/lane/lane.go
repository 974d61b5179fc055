// Package lane is the flag --lane, by which commands choose the live lane or the bulk one.
package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/complete"
	"revoker/cmd/revoker/exit"
	"revoker/config"
	"revoker/events"
)

const (
	name = "lane"
	all  = "all"
)

// patience is how long a command waits for a JetStream that is not ready: a cluster takes some seconds to elect a leader.
const patience = 30 * time.Second

// Flag is the lane to publish to.
type Flag struct{ text string }

// Declare adds the flag. without says what is done without it.
func (f *Flag) Declare(cmd *cobra.Command, without string) {
	cmd.Flags().StringVar(&f.text, name, "", "lane to publish to: live or bulk; "+without)
	complete.Register(cmd, name, complete.Lane)
}

// Check finds wrong usage.
func (f *Flag) Check() error {
	switch config.Lane(f.text) {
	case "", config.Live, config.Bulk:
		return nil
	}
	return errors.New("--lane: must be live or bulk")
}

// Wanted is the lane that was asked for, or else the other one.
func (f *Flag) Wanted(otherwise config.Lane) config.Lane {
	if f.text != "" {
		return config.Lane(f.text)
	}
	return otherwise
}

// Choose returns the lane to publish to. While there is no bulk lane it says so and returns the live one, unless the flag asks for
// bulk: then that is an error.
func (f *Flag) Choose(ctx context.Context, conn *events.Conn, cfg config.Config, otherwise config.Lane, log *slog.Logger) (config.Lane, error) {
	wanted := f.Wanted(otherwise)
	err := events.FindLane(ctx, conn, cfg, wanted, patience)
	switch {
	case err == nil:
		return wanted, nil
	case f.text != "":
		return "", exit.Problem(fmt.Errorf("--lane bulk: %w", err))
	case !errors.Is(err, events.ErrNoLane):
		return "", exit.Problem(err)
	}
	if cfg.BulkSubject != "" { // an operator who wants one lane knows
		log.Warn("publishing to the live lane", "reason", err)
	}
	return config.Live, nil
}

// Several is one lane or all of them.
type Several struct{ text string }

// Declare adds the flag.
func (s *Several) Declare(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.text, name, all, "lane: live, bulk or all")
	complete.Register(cmd, name, complete.Lanes)
}

// All reports whether no single lane was chosen.
func (s *Several) All() bool { return s.text == all }

// Of returns the lanes, of those that the configuration has.
func (s *Several) Of(cfg config.Config) ([]config.Lane, error) {
	switch lane := config.Lane(s.text); {
	case s.text == all:
		return cfg.Lanes(), nil
	case lane == config.Bulk && cfg.BulkSubject == "":
		return nil, config.Invalid(errors.New("REVOKER_BULK_SUBJECT: empty, so there is no bulk lane"))
	case lane == config.Live || lane == config.Bulk:
		return []config.Lane{lane}, nil
	}
	return nil, errors.New("--lane: must be live, bulk or all")
}

// Title begins a sentence about the lane that was chosen. It is empty for all, which need no mention.
func (s *Several) Title() string {
	if s.All() {
		return ""
	}
	return fmt.Sprintf("the %s lane: ", s.text)
}

// Partly adds to an error which lanes were done before it.
func Partly(done string, lanes []config.Lane, err error) error {
	if len(lanes) == 0 {
		return err
	}
	return fmt.Errorf("the %s lane is %s, the other is not: %w", lanes[0], done, err)
}

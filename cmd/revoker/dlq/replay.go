package dlq

import (
	"context"

	"github.com/spf13/cobra"

	"revoker/config"
	"revoker/events"
)

func newReplayCommand() *cobra.Command {
	sweep := &letterSweep{
		verb: "replay", done: "replayed",
		ask: func(cfg config.Config) string { return "Publish the events of %s to stream " + cfg.Stream + " again?" },
		prepare: func(ctx context.Context, store *events.LetterStore, repeated func()) (letterAct, error) {
			replayer, err := store.Replayer(ctx)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, letter events.StoredLetter) error {
				before, err := replayer.Replay(ctx, letter)
				if before && err == nil {
					repeated()
				}
				return err
			}, nil
		},
	}
	cmd := &cobra.Command{
		Use:   "replay [SEQ...]",
		Short: "Publishes the events of dead letters again, and deletes the letters",
		Long: `Publishes the events of dead letters again, and deletes each letter once the event
stream has confirmed its event. An event that fails again becomes a new dead
letter, which names the earlier one; it is not taken up again by this run.

A run that is cut off loses nothing; run it again. Within the event stream's
duplicate window (2 minutes) that stores no event twice. Later it may, for the
few whose letters were not deleted yet: a session is then revoked twice, which
is harmless.

` + sequenceHelp,
		Example: `  revoker dlq replay --reason RETRIES_EXHAUSTED --since 2d --dry-run
  revoker dlq replay --code A503201 --rate 100 --yes
  revoker dlq replay 17 20-25`,
		RunE: sweep.run,
	}
	sweep.declare(cmd)
	return cmd
}

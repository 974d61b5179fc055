package dlq

import (
	"context"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/lane"
	"revoker/config"
	"revoker/events"
	"revoker/events/dlq"
)

func newReplayCommand() *cobra.Command {
	var to lane.Flag
	sweep := &letterSweep{
		verb: "replay", done: "replayed",
		ask:   func(cfg config.Config) string { return "Publish the events of %s to stream " + cfg.Stream + " again?" },
		check: to.Check,
		prepare: func(ctx context.Context, conn *events.Conn, cfg config.Config, store *dlq.LetterStore, repeated func()) (letterAct, error) {
			chosen, err := to.Choose(ctx, conn, cfg, config.Bulk, conn.Log())
			if err != nil {
				return nil, err
			}
			replayer, err := store.Replayer(ctx, chosen)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, letter dlq.StoredLetter) error {
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
		Long: `Publishes the events of dead letters again. It deletes a letter once the event
stream has confirmed its event. An event that fails again becomes a new dead
letter, which names the old one. The same run does not replay it again.

The events go to the bulk lane, so that single logouts do not wait for them. --lane
chooses the other. While there is no bulk lane (` + "`revoker setup`" + ` adds it), it says
so and uses the live one.

If a run is cut off, nothing is lost: run it again. Within the event stream's
duplicate window (2 minutes) no event is stored twice. Later, a few may be. Their
sessions are then revoked twice, which is harmless.

` + sequenceHelp,
		Example: `  revoker dlq replay --reason RETRIES_EXHAUSTED --since 2d --dry-run
  revoker dlq replay --code A503201 --rate 100 --yes
  revoker dlq replay 17 20-25`,
		RunE: sweep.run,
	}
	sweep.declare(cmd)
	to.Declare(cmd, "without it bulk")
	return cmd
}

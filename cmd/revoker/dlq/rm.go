package dlq

import (
	"context"

	"github.com/spf13/cobra"

	"revoker/config"
	"revoker/events"
	"revoker/events/dlq"
)

func newRemoveCommand() *cobra.Command {
	sweep := &letterSweep{
		verb: "delete", done: "deleted",
		ask: func(cfg config.Config) string {
			return "Delete %s from " + cfg.DeadLetterStream + " for good? Their sessions are then not revoked."
		},
		prepare: func(_ context.Context, _ *events.Conn, _ config.Config, store *dlq.LetterStore, _ func()) (letterAct, error) {
			return store.Delete, nil
		},
	}
	cmd := &cobra.Command{
		Use:   "rm [SEQ...]",
		Short: "Deletes dead letters for good",
		Long: `Deletes dead letters for good. The sessions of their events are not revoked.

` + sequenceHelp,
		Example: `  revoker dlq rm --reason INVALID_EVENT --until 7d
  revoker dlq rm 17 20-25 --yes`,
		RunE: sweep.run,
	}
	sweep.declare(cmd)
	return cmd
}

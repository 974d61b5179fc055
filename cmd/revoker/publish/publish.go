// Package publish is the command `revoker publish`, which publishes an event for each session of files or of standard input.
package publish

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"revoker/cmd/revoker/complete"
	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/lane"
	"revoker/cmd/revoker/memory"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/eventfile"
)

type options struct {
	sessions []string
	input    eventfile.Options
	format   string
	skip     int64
	rejects  string
	rate     float64
	timeout  time.Duration
	lane     lane.Flag
	dryRun   bool
	json     bool
}

// NewCommand is `revoker publish`.
func NewCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "publish [FILE...|-]",
		Short: "Publishes a session.ended event for each session in files or standard input",
		Long: `Publishes a session.ended event for each session ID in the given files, or in
standard input. It reads only the NATS_ variables and the names of streams, subjects
and consumers. The stream must exist: ` + "`revoker run`" + ` creates it.

The rows of files go to the bulk lane, so that single logouts do not wait for them.
--session goes to the live lane. --lane chooses another. While there is no bulk lane
(` + "`revoker setup`" + ` adds it), it says so and publishes to the live one.

It recognises the format by content, not by name. gzip is recognised too:
  lines  one session ID per line; it ignores blank lines and white space around
  csv    separated by commas, semicolons or tabs. It uses the columns titled
         sessionId (or sid), serviceId, endedAt and reason. --column chooses
         another column of session IDs, by title or by number
  json   one event per line: {"sessionId": "…", "serviceId": "…", "endedAt": "…",
         "reason": "…"}; only sessionId is required, other members are ignored

An invalid row stops nothing. It is counted. With --rejects it is also written to a
file, as {"input": …, "line": …, "reason": …, "row": …}, one per line. A row that
is not UTF-8 is in rowBase64. The file keeps what it has, and gets no row twice.

The stream confirms each event; thousands are in flight at a time. An event that is
not confirmed is sent again. Each has a message ID of its own, so you may publish a
file again: the stream stores nothing twice within its duplicate window (2 minutes
unless you change it). If it stops, it says how far it came and how to go on.

--dry-run reads everything and sends nothing. It finds duplicates among the first
10,000,000 rows, and takes up to 400 MB of memory for that. Publishing takes no
more memory for a large file than for a small one.

Exit codes: 0 done, 1 a problem (invalid rows, for example), 2 wrong usage,
78 wrong configuration.`,
		Example: `  revoker publish --dry-run session-ids.csv.gz
  revoker publish --reason incident-42 --rejects rejects.jsonl session-ids.csv.gz
  zstdcat export.zst | revoker publish --column user_session --rate 5000
  revoker publish --session my-sid    # ps and the shell's history show the ID`,
		RunE: func(cmd *cobra.Command, args []string) error {
			summary, err := o.run(cmd, args)
			if err != nil { // it did not begin
				summary = result{DryRun: o.dryRun, Error: err.Error()}
			}
			if err == nil || o.json {
				err = errors.Join(err, exit.Problem(summary.write(cmd.OutOrStdout(), o.json)))
			}
			if err != nil {
				return err
			}
			if summary.Warning != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "revoker: warning: %s\n", summary.Warning)
			}
			return exit.Problem(summary.problem())
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.sessions, "session", nil, "a single session ID; repeat it for several")
	flags.StringVar(&o.format, "format", string(eventfile.Detect), "format of the input: auto, lines, csv or json")
	flags.StringVar(&o.input.Column, "column", "", "CSV column of the session IDs, by title or by number from 1")
	flags.StringVar(&o.input.ServiceID, "service-id", "", "serviceId for events that name none; by default the workers use theirs")
	flags.StringVar(&o.input.Reason, "reason", "", "reason for events that have none")
	flags.Int64Var(&o.skip, "skip", 0, "lines of the first input to skip")
	flags.StringVar(&o.rejects, "rejects", "", "file to which invalid rows are appended")
	flags.Float64Var(&o.rate, "rate", 0, "largest number of events per second; 0 sets no limit")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long to keep trying when the stream stops confirming events")
	o.lane.Declare(cmd, "without it, live for --session and bulk for the rest")
	flags.BoolVar(&o.dryRun, "dry-run", false, "read and check everything, send nothing")
	flags.BoolVar(&o.json, "json", false, "print the summary as JSON")
	complete.Register(cmd, "format", complete.Formats)
	return cmd
}

// check finds wrong usage before anything is read.
func (o *options) check(cmd *cobra.Command, args []string) (err error) {
	if o.input.Format, err = eventfile.ParseFormat(o.format); err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	if err := o.lane.Check(); err != nil {
		return err
	}
	switch {
	case o.skip < 0:
		return errors.New("--skip: must not be negative")
	case o.rate < 0 || o.rate > 1e9:
		return errors.New("--rate: must be from 0 to 1000000000")
	case o.timeout < time.Second:
		return errors.New("--timeout: must be at least 1s")
	case len(o.sessions) > 0 && (len(args) > 0 || o.skip > 0):
		return errors.New("--session: takes no files and no --skip beside it")
	case len(o.sessions) == 0 && len(args) == 0 && terminal.CanAsk(cmd.InOrStdin()):
		return errors.New("nothing to publish: name files, pipe session IDs in, or use --session")
	}
	return nil
}

// run publishes what can be published. The error is why it did not begin.
func (o *options) run(cmd *cobra.Command, args []string) (result, error) {
	if err := o.check(cmd, args); err != nil {
		return result{}, err
	}
	cfg, err := connection.Load(cmd)
	if err != nil {
		return result{}, err
	}
	if o.lane.Wanted(o.usualLane(cfg)) == config.Live && config.HasWildcard(cfg.Subject) {
		return result{}, errWildcard
	}
	inputs, err := o.open(cmd.Context(), args, cmd.InOrStdin())
	if err != nil {
		return result{}, err
	}
	return o.each(cmd, args, cfg, inputs)
}

var errWildcard = config.Invalid(errors.New("REVOKER_SUBJECT: has wildcards, but publish needs one subject to publish to"))

// usualLane is the lane without --lane: a single session's user waits, and many sessions must not keep others waiting.
func (o *options) usualLane(cfg config.Config) config.Lane {
	if len(o.sessions) > 0 || cfg.BulkSubject == "" {
		return config.Live
	}
	return config.Bulk
}

// each publishes or checks the rows of the inputs.
func (o *options) each(cmd *cobra.Command, args []string, cfg config.Config, inputs *inputs) (summary result, err error) {
	ctx := cmd.Context()
	p := &publication{inputs: inputs, skip: o.skip, progress: terminal.NewProgress(cmd.ErrOrStderr(), inputs.estimate(0), "events")}
	p.tally.reached.line = o.skip
	defer p.progress.Finish()
	if p.rejects, err = openRejects(o.rejects, args); err != nil {
		return summary, err
	}
	var stopped error
	if o.dryRun {
		c := &checker{publication: p, seed: maphash.MakeSeed()}
		stopped = p.each(ctx, c.take)
		p.tally.duplicates = c.duplicates()
	} else if stopped, err = o.publish(ctx, p, cfg, terminal.NewLogger(terminal.AboveBar(cmd.ErrOrStderr()), terminal.Quiet(cfg))); err != nil {
		return summary, errors.Join(exit.Problem(err), p.rejects.close())
	}
	p.progress.Finish()
	if err := p.rejects.close(); err != nil {
		stopped = errors.Join(stopped, err)
	}
	return p.summarise(stopped, o, goOn(cmd, args, p)), nil
}

// publish sends everything. stopped is why it ended early; err, why it did not begin.
func (o *options) publish(ctx context.Context, p *publication, cfg config.Config, log *slog.Logger) (stopped, err error) {
	conn, err := events.Connect(cfg.NATS, "revoker publish", log, false)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	chosen, err := o.lane.Choose(ctx, conn, cfg, o.usualLane(cfg), log)
	if err != nil {
		return nil, err
	}
	cfg = cfg.In(chosen)
	if config.HasWildcard(cfg.Subject) {
		return nil, errWildcard
	}
	bulk, err := events.NewBulkPublisher(ctx, conn, chosen, cfg.Stream, cfg.Subject, o.timeout)
	if err != nil {
		return nil, err
	}
	p.lane = chosen
	var limit *rate.Limiter
	if o.rate > 0 {
		limit = rate.NewLimiter(rate.Limit(o.rate), max(1, int(o.rate/50))) // 20 ms' worth at once
	}
	memory.Tune(0) // it makes no calls
	stopped = p.each(ctx, p.send(ctx, bulk, limit))
	if failed := bulk.Close(); failed != nil {
		stopped = failed
	}
	if stopped != nil && ctx.Err() != nil {
		stopped = ctx.Err()
	}
	return stopped, nil
}

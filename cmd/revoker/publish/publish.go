// Package publish is the command `revoker publish`, which publishes an event for each session of files or of standard input.
package publish

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"revoker/cmd/revoker/exit"
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
	dryRun   bool
	json     bool
}

// NewCommand is `revoker publish`.
func NewCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "publish [FILE...|-]",
		Short: "Publishes a session.ended event for each session of files or of standard input",
		Long: `Publishes a session.ended event for each session ID of the files given, or of
standard input. It needs the NATS_ variables, REVOKER_STREAM and REVOKER_SUBJECT
alone, and a stream that is there: ` + "`revoker run`" + ` creates it.

Formats, recognised by content and not by name; each may be compressed by gzip:
  lines  one session ID a line; white space around it and blank lines don't count
  csv    separated by commas, semicolons or tabs; the columns titled sessionId (or
         sid), serviceId, endedAt and reason are used. --column names another
         column of session IDs, or numbers it where there are no titles
  json   one event a line: {"sessionId": "…", "serviceId": "…", "endedAt": "…",
         "reason": "…"}; only sessionId is needed, other members are left out

A row that is not an event never stops the rest: it is counted, and with --rejects
written to a file as {"input": …, "line": …, "reason": …, "row": …}, one a line,
with rowBase64 instead of row where it is not UTF-8. What the file holds is kept,
and a row that it holds already is not added again.

Events are confirmed by the stream, some thousand in flight; one that is not
confirmed is sent again. Each has a message ID of its own, so that publishing a
file again stores nothing twice within the stream's duplicate window (2 minutes
unless you set it). After a stop it says which line it came to, and how to go on.

--dry-run reads everything and sends nothing. It finds duplicates among the first
10,000,000 rows, in up to 400 MB of memory; publishing itself needs no more for a
large file than for a small one.

Exit codes: 0 done, 1 a problem, such as rows that are not events, 2 wrong usage,
78 wrong configuration.`,
		Example: `  revoker publish --dry-run session-ids.csv.gz
  revoker publish --reason incident-42 --rejects rejects.jsonl session-ids.csv.gz
  zstdcat export.zst | revoker publish --column user_session --rate 5000
  revoker publish --session my-sid    # seen by ps and in the shell's history`,
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
			return exit.Problem(summary.problem())
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.sessions, "session", nil, "a single session ID; repeat it for several")
	flags.StringVar(&o.format, "format", string(eventfile.Detect), "format of the input: auto, lines, csv or json")
	flags.StringVar(&o.input.Column, "column", "", "CSV column of the session IDs, by title or by number from 1")
	flags.StringVar(&o.input.ServiceID, "service-id", "", "serviceId of events that name none; without it, the workers' own")
	flags.StringVar(&o.input.Reason, "reason", "", "reason of events that have none")
	flags.Int64Var(&o.skip, "skip", 0, "lines of the first input to pass over")
	flags.StringVar(&o.rejects, "rejects", "", "file to append rows to that are not events")
	flags.Float64Var(&o.rate, "rate", 0, "events a second at the most; 0 for no limit")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long to go on trying when the stream stops confirming events")
	flags.BoolVar(&o.dryRun, "dry-run", false, "read and check everything, send nothing")
	flags.BoolVar(&o.json, "json", false, "print the summary as JSON")
	return cmd
}

// check finds wrong usage before anything is read.
func (o *options) check(cmd *cobra.Command, args []string) (err error) {
	if o.input.Format, err = eventfile.ParseFormat(o.format); err != nil {
		return fmt.Errorf("--format: %w", err)
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
	cfg, err := config.Load()
	if err != nil {
		return result{}, config.Invalid(err)
	}
	if strings.ContainsAny(cfg.Subject, "*>") {
		return result{}, config.Invalid(errors.New("REVOKER_SUBJECT: it has wildcards; publish needs the one subject to publish to"))
	}
	inputs, err := o.open(cmd.Context(), args, cmd.InOrStdin())
	if err != nil {
		return result{}, err
	}
	return o.each(cmd, args, cfg, inputs)
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
	bulk, err := events.NewBulk(ctx, conn, cfg.Stream, cfg.Subject, o.timeout)
	if err != nil {
		return nil, err
	}
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

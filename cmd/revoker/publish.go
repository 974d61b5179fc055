package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"revoker/config"
	"revoker/events"
)

// publishTimeout bounds the wait for the stream to confirm one event.
const publishTimeout = 10 * time.Second

func newPublishCommand() *cobra.Command {
	var service, reason string
	cmd := &cobra.Command{
		Use:   "publish [SESSION_ID...]",
		Short: "Publishes a session.ended event for each session ID",
		Long: `Publishes a session.ended event for each session ID: those given as arguments,
or else one a line on standard input. It needs the NATS_ variables and
REVOKER_SUBJECT alone. A session that is published twice within the stream's
duplicate window is stored once.

Arguments can be seen by other users of the machine and stay in the shell's
history; standard input is neither.`,
		Example: "  revoker publish my-sid\n  revoker publish --reason incident-42 < session-ids.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load()
			if err != nil {
				return fmt.Errorf("the configuration is wrong:\n%w", err)
			}
			if strings.ContainsAny(cfg.Subject, "*>") {
				return errors.New("REVOKER_SUBJECT has wildcards; publish needs the one subject to publish to")
			}
			conn, err := events.Connect(cfg.NATS, "revoker publish", newLogger(cmd.ErrOrStderr(), quiet(cfg)), false)
			if err != nil {
				return problem(err)
			}
			defer conn.Close()
			p := publication{publisher: events.NewPublisher(conn, cfg.Subject), service: service, reason: reason}
			if len(args) > 0 {
				err = p.lines(cmd.Context(), strings.NewReader(strings.Join(args, "\n")))
			} else {
				err = p.lines(cmd.Context(), cmd.InOrStdin())
			}
			fmt.Fprintf(cmd.OutOrStdout(), "published %d, already there %d, invalid %d\n", p.published, p.duplicates, p.invalid)
			return problem(err)
		},
	}
	cmd.Flags().StringVar(&service, "service-id", "", "serviceId of the events; without it, the workers' own")
	cmd.Flags().StringVar(&reason, "reason", "", "reason of the events")
	return cmd
}

// quiet leaves a short-lived command's log its warnings.
func quiet(cfg config.Config) config.Config {
	cfg.LogLevel = max(cfg.LogLevel, slog.LevelWarn)
	cfg.LogFormat = "text"
	return cfg
}

// publication publishes session IDs and counts what came of them.
type publication struct {
	publisher                      *events.Publisher
	service, reason                string
	published, duplicates, invalid int
}

// lines publishes one event for each line that is not empty. An invalid line stops nothing; the error says how many there
// were and where the first is.
func (p *publication) lines(ctx context.Context, in io.Reader) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, 1<<20)
	var invalid error
	for line := 1; scanner.Scan(); line++ {
		id := strings.TrimSuffix(scanner.Text(), "\r")
		if id == "" {
			continue
		}
		event := events.Event{SessionID: events.SessionID(id), ServiceID: p.service, EndedAt: time.Now(), Reason: p.reason}
		if err := event.SessionID.Validate(); err != nil {
			if p.invalid++; invalid == nil {
				invalid = fmt.Errorf("line %d: %w", line, err)
			}
			continue
		}
		if err := p.one(ctx, event); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("reading session IDs: %w", err)
	}
	if invalid != nil {
		return fmt.Errorf("%d session IDs are invalid; the first in %w", p.invalid, invalid)
	}
	return nil
}

func (p *publication) one(ctx context.Context, event events.Event) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	duplicate, err := p.publisher.Publish(ctx, event)
	if err != nil {
		return err
	}
	if duplicate {
		p.duplicates++
	} else {
		p.published++
	}
	return nil
}

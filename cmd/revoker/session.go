package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/sessions"
)

// The exit codes of `revoker session`, beside 0 for a session that is revoked.
const (
	codeNotSettled = 3
	codeDeadLetter = 4
	codeNotFound   = 5
)

func newSessionCommand() *cobra.Command {
	var s session
	cmd := &cobra.Command{
		Use:   "session [SESSION-ID | -]",
		Short: "Says what became of one session",
		Long: `Says whether a session is revoked, waits, or is a dead letter. Without an argument,
or with -, it reads the ID from standard input, where other users of the machine
can't see it. --hash takes the session's hash instead, as receipts have it: the
first 32 hex digits of the SHA-256 of service ID, NUL, session ID.

"revoked" needs receipts: REVOKER_RECEIPTS=true for the workers. "no receipt" does
not mean "not revoked": receipts are kept for some days only, and there are none from
before they were turned on.

A receipt is found at once. Without one it looks through the newest 100,000 dead
letters, and through the events that wait, from both ends, for up to --scan. It says
how many it saw. All that takes no event from a worker.

Exit codes: 0 revoked, 1 a problem, 2 wrong usage, 3 queued or waiting, 4 dead letter,
5 not found, 78 wrong configuration.`,
		Example: `  printf '%s\n' "$SESSION_ID" | revoker session
  revoker session --hash 5f3895cb522093815fbaee32fe1551a5 --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, args) },
	}
	cmd.Flags().StringVar(&s.hash, "hash", "", "the session's hash, instead of its ID")
	cmd.Flags().StringVar(&s.service, "service", "", "the session's Authlete service, instead of AUTHLETE_SERVICE_ID")
	cmd.Flags().DurationVar(&s.options.Scan, "scan", 5*time.Second, "how long to look through dead letters and events")
	cmd.Flags().BoolVar(&s.options.All, "all", false, "look through them even if there is a receipt")
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON")
	return cmd
}

type session struct {
	hash, service string
	options       sessions.Options
	json          bool
}

func (s session) run(cmd *cobra.Command, args []string) error {
	if s.options.Scan <= 0 {
		return errors.New("--scan: must be more than 0")
	}
	if s.hash != "" && len(args) > 0 {
		return errors.New("--hash: give the hash or the ID, not both")
	}
	cfg, err := connection.Load(cmd)
	if err != nil {
		return err
	}
	key, err := s.key(cmd, args, cfg)
	if err != nil {
		return err
	}
	_, conn, err := connection.OpenWith(cmd, cfg, terminal.NewLogger(cmd.ErrOrStderr(), terminal.Quiet(cfg)))
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := sessions.Find(cmd.Context(), conn, cfg, key, s.options)
	if err != nil {
		return exit.Problem(err)
	}
	if s.json {
		err = terminal.WriteJSON(cmd.OutOrStdout(), answer)
	} else {
		_, err = io.WriteString(cmd.OutOrStdout(), answerText(answer, time.Now()))
	}
	if err != nil {
		return exit.Problem(err)
	}
	return exitCode(answer)
}

// key names the session by what was given.
func (s session) key(cmd *cobra.Command, args []string, cfg config.Config) (sessions.Key, error) {
	service := cfg.API.ServiceID
	if s.service != "" {
		service = s.service
	}
	if service == "" {
		return sessions.Key{}, errors.New("set AUTHLETE_SERVICE_ID or --service: the session's hash is that of service ID and session ID")
	}
	defaultService := cfg.API.ServiceID
	if defaultService == "" {
		defaultService = service
	}
	if s.hash != "" {
		key, err := sessions.ByHash(s.hash, defaultService)
		if err != nil {
			return key, fmt.Errorf("--hash: %w", err)
		}
		return key, nil
	}
	text := "-"
	if len(args) > 0 {
		text = args[0]
	}
	if text == "-" {
		line, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 2*events.MaxSessionIDLength))
		if err != nil {
			return sessions.Key{}, exit.Problem(fmt.Errorf("reading the session ID: %w", err))
		}
		text = strings.TrimRight(string(line), "\r\n")
	}
	id := events.SessionID(text)
	if err := id.Validate(); err != nil {
		return sessions.Key{}, err
	}
	return sessions.ByID(id, service, defaultService), nil
}

// exitCode is that of an answer.
func exitCode(a sessions.Answer) error {
	switch a.State {
	case sessions.Revoked:
		return nil
	case sessions.DeadLetter:
		return exit.Answer(codeDeadLetter)
	case sessions.NotFound:
		return exit.Answer(codeNotFound)
	}
	return exit.Answer(codeNotSettled)
}

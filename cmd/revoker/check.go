package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/descriptors"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/worker/authlete"
)

func newCheckCommand() *cobra.Command {
	var c check
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Checks everything that revoker needs, and says how to fix what is missing",
		Long: `Checks the configuration, then NATS with its streams, consumer and permissions,
then the logout API with its host, TLS, token and services. Each check prints ok,
warning or failed.

It changes nothing: it takes no event away, stores nothing and touches no session.
To see whether the API accepts the token, it makes a call without a session ID. The
API refuses such a call with CALLER_ERROR. To see whether the account may publish
dead letters, it publishes an empty message that the dead-letter stream must refuse.
Plain subscribers of that subject see the message, with a header Revoker-Check.
With REVOKER_RECEIPTS=true it does the same for receipts.

--dead-letter stores one dead letter and deletes it. Only this shows whether the
server can write: its disk may be full. If the account may not delete the letter,
check says which one is left. Plain subscribers see it too, with the same header.

--receive checks what ` + "`revoker receive`" + ` needs instead: its variables, the permission to
publish, and the keys of each issuer. Plain subscribers of REVOKER_SUBJECT see an
empty message, with the same header.

--call makes one real call, which ends that session. With - it reads the session ID
from standard input, where other users of the machine can't see it.

Exit codes: 0 nothing failed, warnings or not, 1 a check failed, 2 wrong usage,
78 wrong configuration.`,
		Example: `  revoker check
  revoker check --json | jq '.findings[] | select(.state != "ok")'
  revoker check --call - < session-id.txt
  revoker check --receive`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	cmd.Flags().StringVar(&c.session, "call", "", "make one real logout call, for this session ID")
	cmd.Flags().BoolVar(&c.store, "dead-letter", false, "store one dead letter, and delete it")
	cmd.Flags().BoolVar(&c.receive, "receive", false, "check what revoker receive needs, instead")
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

type check struct {
	session string
	store   bool
	receive bool
	json    bool
}

func (c check) run(cmd *cobra.Command) error {
	session := events.SessionID(c.session)
	if c.session == "-" {
		line, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 2*events.MaxSessionIDLength))
		if err != nil {
			return exit.Problem(fmt.Errorf("reading the session ID: %w", err))
		}
		session = events.SessionID(strings.TrimRight(string(line), "\r\n"))
	}
	if cmd.Flags().Changed("call") {
		if err := session.Validate(); err != nil {
			return fmt.Errorf("--call: %w", err)
		}
	}
	cfg, wrong := connection.Load(cmd)
	if wrong != nil && !errors.Is(wrong, config.ErrInvalid) {
		return wrong
	}
	findings, invalid := c.check(cmd.Context(), cfg, wrong, session)
	write := writeFindings
	if c.json {
		write = writeFindingsJSON
	}
	if err := write(cmd.OutOrStdout(), findings); err != nil {
		return exit.Problem(err)
	}
	if n := findings.Count(admin.Failed); n > 0 {
		failed := fmt.Errorf("%s failed", terminal.Counted(n, "check"))
		if invalid {
			return fmt.Errorf("%w: %w", failed, config.ErrInvalid)
		}
		return exit.Problem(failed)
	}
	return nil
}

// check goes on after a failure with all that does not need what failed. wrong is what is wrong with the configuration for every
// command. invalid tells that the configuration is wrong.
func (c check) check(ctx context.Context, cfg config.Config, wrong error, session events.SessionID) (list admin.Findings, invalid bool) {
	if c.receive {
		return checkReceiver(ctx, cfg, wrong)
	}
	return checkAll(ctx, cfg, wrong, session, c.store)
}

func checkAll(ctx context.Context, cfg config.Config, wrong error, session events.SessionID, store bool) (list admin.Findings, invalid bool) {
	if wrong != nil {
		list.Add(admin.Failed, "configuration", oneLine(wrong), "`revoker run --help` describes the variables")
		list.Add(admin.Skipped, "NATS, logout API", "the configuration is wrong", "")
		return list, true
	}
	apiErr := cfg.ValidateAPI()
	if apiErr != nil {
		list.Add(admin.Failed, "configuration", oneLine(apiErr), "`revoker run --help` describes the variables")
	} else {
		list.Add(admin.OK, "configuration", "every variable can be used", "")
	}
	checkTiming(cfg, &list)
	if _, shortage := descriptors.Fit(cfg.Concurrency); shortage != "" {
		list.Add(admin.Warning, "file descriptors", shortage, "a worker's own limit may differ from this command's")
	}
	issuers := checkIssuers(ctx, cfg.Receive, &list)
	invalid = checkNATS(ctx, cfg, store, &list) || issuers
	if apiErr != nil {
		list.Add(admin.Skipped, "logout API", "the configuration is wrong", "")
		return list, true
	}
	api, err := authlete.New(cfg, currentVersion())
	if err != nil {
		list.Add(admin.Failed, "configuration", oneLine(err), "correct the variable that it names")
		return list, true
	}
	defer api.Close()
	checkAPI(ctx, cfg, api, &list)
	if session != "" {
		checkCall(ctx, cfg, api, session, &list)
	}
	return list, invalid
}

// oneLine leaves out that the configuration is wrong, and the hint: the finding says both.
func oneLine(err error) string {
	if inner := errors.Unwrap(err); inner != nil && errors.Is(err, config.ErrInvalid) {
		err = inner
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// checkTiming holds the configured times against each other. The ack wait may be shorter than a call: it is renewed.
func checkTiming(cfg config.Config, list *admin.Findings) {
	const name = "timing"
	if cfg.RequestTimeout > cfg.DrainTimeout {
		list.Add(admin.Warning, name,
			fmt.Sprintf("a call may take %s, and a stop cuts calls off after %s, to be made again", cfg.RequestTimeout, cfg.DrainTimeout),
			"raise REVOKER_DRAIN_TIMEOUT above REVOKER_REQUEST_TIMEOUT, and the grace period with it")
		return
	}
	list.Add(admin.OK, name, fmt.Sprintf("ack wait %s, renewed while a call is in work; request timeout %s; drain timeout %s",
		cfg.AckWait, cfg.RequestTimeout, cfg.DrainTimeout), "")
}

// checkNATS reports whether the settings of the connection are wrong.
func checkNATS(ctx context.Context, cfg config.Config, store bool, list *admin.Findings) (invalid bool) {
	const name = "NATS connection"
	began := time.Now()
	conn, err := events.Connect(cfg.NATS, "revoker check", slog.New(slog.DiscardHandler), false)
	if err != nil {
		list.Add(admin.Failed, name, natsFailure(err), natsRemedy(err))
		list.Add(admin.Skipped, "JetStream, streams, consumer, permissions", "there is no connection", "")
		return errors.Is(err, config.ErrInvalid)
	}
	defer conn.Close()
	list.Add(admin.OK, name, fmt.Sprintf("connected and authenticated in %s", time.Since(began).Round(time.Millisecond)), "")
	*list = append(*list, admin.Check(ctx, conn, cfg, store)...)
	return false
}

func natsFailure(err error) string {
	var failed *events.ConnectError
	if errors.As(err, &failed) {
		return failed.At() + ": " + failed.What
	}
	return oneLine(err)
}

func natsRemedy(err error) string {
	var failed *events.ConnectError
	if errors.As(err, &failed) {
		return failed.Remedy
	}
	return "correct the variable that it names"
}

// writeFindings prints a line for each finding, and how to fix it on the next line.
func writeFindings(out io.Writer, list admin.Findings) error {
	width := 0
	for _, f := range list {
		width = max(width, len(f.Name))
	}
	var text strings.Builder
	before := ""
	for _, f := range list {
		fmt.Fprintf(&text, "%-8s %-*s  %s\n", f.State, width, f.Name, terminal.Printable(f.Detail, ""))
		if f.Remedy != "" && f.Remedy != before { // the same hint once, for several services for example
			fmt.Fprintf(&text, "%-8s %-*s  -> %s\n", "", width, "", terminal.Printable(f.Remedy, ""))
		}
		before = f.Remedy
	}
	warnings := terminal.Counted(list.Count(admin.Warning), "warning")
	fmt.Fprintf(&text, "\n%d ok, %s, %d failed\n", list.Count(admin.OK), warnings, list.Count(admin.Failed))
	_, err := io.WriteString(out, text.String())
	return err
}

func writeFindingsJSON(out io.Writer, list admin.Findings) error {
	return terminal.WriteJSON(out, struct {
		Findings admin.Findings `json:"findings"`
		Warnings int            `json:"warnings"`
		Failed   int            `json:"failed"`
	}{list, list.Count(admin.Warning), list.Count(admin.Failed)})
}

//go:build !nodev

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/events/embedded"
	"revoker/worker"
	"revoker/worker/authlete/sim"
)

const (
	devToken   = "dev-token"
	devService = "1234567890"

	freeAddress = "127.0.0.1:0"

	leftTimeout = 5 * time.Second // to count the events that are left

	devExample = "  revoker dev         # see it work, with nothing but this program\n"
)

// devCommands is another one in a build with the tag nodev: the NATS server inside is a third of the program.
func devCommands() []*cobra.Command { return []*cobra.Command{newDevCommand()} }

func newDevCommand() *cobra.Command {
	dev := devOptions{}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Shows revoker at work on this machine, with nothing else installed",
		Long: `Starts a NATS server with JetStream and a simulated logout API on 127.0.0.1. It runs
the worker between them, as ` + "`revoker run`" + ` does, and takes signals over HTTP, as
` + "`revoker receive`" + ` does. It publishes sample events; some need
retries, and some end as dead letters. It prints a line for each settled event. A
session appears as the first 12 hex digits of the SHA-256 of its ID.

It uses the REVOKER_ and OTEL_ variables, but not the NATS_ and AUTHLETE_ ones: no
event leaves this machine. Ctrl-C drains the worker and prints a summary.`,
		Example: "  revoker dev\n  revoker dev --rate 0 --data ./streams",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return dev.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().IntVar(&dev.port, "port", 4222, "port of the NATS server; 0 takes a free one")
	cmd.Flags().Float64Var(&dev.rate, "rate", 3, "sample events per second; 0 publishes none")
	cmd.Flags().StringVar(&dev.data, "data", "", "folder that keeps the streams; by default they are deleted at the end")
	return cmd
}

type devOptions struct {
	port int
	rate float64
	data string
}

func (o devOptions) run(ctx context.Context, out, errOut io.Writer) error {
	if err := checkRate(o.rate); err != nil {
		return err
	}
	cfg, err := config.Load()
	if err != nil {
		return config.Invalid(err)
	}
	folder := o.data
	if folder == "" {
		if folder, err = os.MkdirTemp("", "revoker-dev-"); err != nil {
			return exit.Problem(err)
		}
		defer os.RemoveAll(folder)
	} else if err := os.MkdirAll(folder, 0o750); err != nil {
		return exit.Problem(fmt.Errorf("--data: %w", err))
	}
	if o.port == 0 {
		o.port = embedded.RandomPort
	}
	server, err := embedded.Start(o.port, folder)
	if err != nil {
		return exit.Problem(fmt.Errorf("%w (--port chooses another port)", err))
	}
	defer server.Shutdown()
	api, err := sim.Start(sim.Options{
		Token: devToken, Services: []string{devService}, Tokens: sampleTokens, Latency: sampleLatency, Jitter: sampleLatency,
	})
	if err != nil {
		return exit.Problem(err)
	}
	defer api.Close()

	cfg = devConfig(cfg, server.URL(), api.URL())
	log := terminal.NewLogger(errOut, cfg)
	board := &board{out: out, counts: map[worker.Outcome]int{}, began: time.Now()}

	// The samples end with the worker, whatever ends it.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var samples sync.WaitGroup
	samples.Go(func() {
		conn, err := events.Connect(cfg.NATS, "revoker dev", slog.New(slog.DiscardHandler), false)
		if err != nil {
			log.Error("no sample events", "error", err)
			return
		}
		defer conn.Close()
		publishSamples(ctx, events.NewPublisher(conn, cfg.Subject), api, o.rate, log)
	})
	signals, received, err := devReceiver(ctx, cfg, log)
	if err == nil {
		worker := watch{settled: board.settled, listening: func(address string) { o.introduce(out, cfg, address, signals) }}
		err = work(ctx, cfg, log, worker)
		if taken(err, "REVOKER_OPS_ADDR") {
			cfg.OpsAddr = freeAddress
			err = work(ctx, cfg, log, worker)
		}
	}
	cancel()
	samples.Wait()
	err = errors.Join(err, received())
	board.summarise(cfg, log)
	return err
}

// devConfig points the configuration at this process's own server and API, and leaves the log its warnings unless the
// environment says otherwise, for the board shows the rest.
func devConfig(cfg config.Config, natsURL, apiURL string) config.Config {
	cfg.NATS = config.NATS{URL: config.NewServerURLs(natsURL)}
	cfg.API.BaseURL, cfg.API.ServiceID = apiURL, devService
	cfg.API.Bearer, cfg.API.BearerFile = config.NewSecret(devToken), ""
	cfg.LogFormat = "text"
	if os.Getenv("REVOKER_LOG_LEVEL") == "" {
		cfg.LogLevel = slog.LevelWarn
	}
	if cfg.ConsoleToken.IsZero() {
		cfg.ConsoleToken = config.NewSecret(rand.Text())
	}
	if _, set := os.LookupEnv("REVOKER_RECEIVE_OPS_ADDR"); !set {
		cfg.Receive.OpsAddr = "" // the page has what matters here
	}
	cfg.Receive.Token, cfg.Receive.TokenFile = config.NewSecret(rand.Text()), "" // not one of a real installation: it is printed
	return cfg
}

func (o devOptions) introduce(out io.Writer, cfg config.Config, address, signals string) {
	page := "off"
	if address != "" {
		page = fmt.Sprintf("http://%s  token %s", address, cfg.ConsoleToken.Reveal())
	}
	fmt.Fprintf(out, `revoker %s, on this machine alone

  NATS  %s  stream %s, subject %s
  API   %s  simulated
  Page  %s
  HTTP  http://%s  takes signals, as revoker receive does

Publish an event of your own from another terminal, over HTTP or by NATS:

  curl -d '{"sessionId":"abc"}' -H 'Authorization: Bearer %s' http://%s/events
  nats --server %s pub %s '{"sessionId":"abc"}'

It shows as session %s. Ctrl-C stops.

`, currentVersion(), cfg.NATS.URL, cfg.Stream, cfg.Subject, cfg.API.BaseURL, page, signals, cfg.Receive.Token.Reveal(), signals,
		cfg.NATS.URL, cfg.Subject, events.SessionID("abc").Mask())
}

// board prints a line for each settlement and counts them.
type board struct {
	out   io.Writer
	began time.Time

	mu      sync.Mutex
	counts  map[worker.Outcome]int
	deleted int
}

func (b *board) settled(s worker.Settlement) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[s.Outcome]++
	b.deleted += s.Deleted
	session := "-"
	if s.Session != "" {
		session = s.Session.Mask()
	}
	fmt.Fprintf(b.out, "%s  %-11s  %-12s  %s\n", time.Now().Format("15:04:05.000"), label(s.Outcome), session, tell(s))
}

func label(o worker.Outcome) string {
	switch o {
	case worker.CallerError, worker.Invalid, worker.RetriesExhausted:
		return "dead letter"
	case worker.Interrupted, worker.Deferred:
		return "handed back"
	}
	return string(o)
}

// tell says in a few words what happened.
func tell(s worker.Settlement) string {
	text := s.Detail
	switch s.Outcome {
	case worker.Revoked:
		text = terminal.Counted(s.Deleted, "token") + " deleted"
	case worker.CallerError, worker.Invalid, worker.RetriesExhausted:
		text = s.Outcome.Reason() + ": " + text
	}
	if s.Deliveries > 1 || s.Delay > 0 {
		text += fmt.Sprintf("; attempt %d", s.Deliveries)
	}
	if s.Delay > 0 {
		text += fmt.Sprintf(", again in %s", s.Delay.Round(time.Millisecond))
	}
	return text
}

// summarise tells how it went, and what is left in the stream for a worker that comes after.
func (b *board) summarise(cfg config.Config, log *slog.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	dead := b.counts[worker.CallerError] + b.counts[worker.Invalid] + b.counts[worker.RetriesExhausted]
	fmt.Fprintf(b.out, "\nIn %s: %s revoked, %s deleted, %s to retry, %s on %s", time.Since(b.began).Round(time.Second),
		terminal.Counted(b.counts[worker.Revoked], "session"), terminal.Counted(b.deleted, "token"), terminal.Counted(b.counts[worker.Retry], "attempt"),
		terminal.Counted(dead, "dead letter"), cfg.DeadLetterSubject)
	if conn, err := events.Connect(cfg.NATS, "revoker dev", slog.New(slog.DiscardHandler), false); err == nil {
		defer conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), leftTimeout)
		defer cancel()
		if queue, err := admin.NewStatusReader(conn, cfg).ReadQueue(ctx); err == nil {
			fmt.Fprintf(b.out, ", %s left", terminal.Counted(queue.Left(), "event"))
		} else {
			log.Warn("the backlog is not known", "error", err)
		}
	}
	fmt.Fprintln(b.out, ".")
}

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events/admin"
	"revoker/events/peer"
)

func newStatusCommand() *cobra.Command {
	var watch, asJSON bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Shows backlog, retries, dead letters and workers",
		Long: `Shows how many events wait, are in work and wait for their retry, in all and by lane
(live and bulk). It also shows the age of the oldest event, the reasons of the dead letters, and each worker's state.

--watch refreshes it until Ctrl-C. It adds rates, the time that is left, and a plot
of the last minutes. If the output is not a terminal, it prints one line each time,
or one object with --json.

A worker answers if its account may subscribe to revoker.workers.STREAM.CONSUMER and
publish the answer. If no worker answers, events in work and events that wait for
their retry are one number.`,
		Example: "  revoker status\n  revoker status --watch\n  revoker status --json | jq .backlog",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < 200*time.Millisecond {
				return errors.New("--interval: must be at least 200ms")
			}
			if watch {
				return watchStatus(cmd, interval, asJSON)
			}
			cfg, conn, err := connection.Open(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			status, err := admin.NewStatusReader(conn, cfg).Read(cmd.Context())
			if err != nil {
				return exit.Problem(err)
			}
			if asJSON {
				return exit.Problem(terminal.WriteJSON(cmd.OutOrStdout(), status))
			}
			_, err = io.WriteString(cmd.OutOrStdout(), statusText(status))
			return exit.Problem(err)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "refresh until Ctrl-C")
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "time between two refreshes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// statusText is the status for people.
func statusText(s admin.Status) string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	for _, l := range s.Lanes {
		name := "consumer"
		if l.Lane != config.Live {
			name = string(l.Lane) + " consumer"
		}
		row(name, "%s on stream %s%s", l.Consumer, s.Stream, pauseText(l))
	}
	row("backlog", "%d%s", s.Backlog, byLane(s, func(l admin.LaneStatus) string { return fmt.Sprint(l.Backlog) }))
	if s.InFlight != nil {
		row("in flight", "%d", *s.InFlight)
		row("waiting for retry", "%d", *s.Retrying)
	} else {
		row("in work or waiting for retry", "%d%s", s.Unsettled, byLane(s, func(l admin.LaneStatus) string { return fmt.Sprint(l.Unsettled) }))
	}
	if s.InFlight != nil && len(s.Lanes) > 1 {
		row("not settled yet", "%d%s", s.Unsettled, byLane(s, func(l admin.LaneStatus) string { return fmt.Sprint(l.Unsettled) }))
	}
	row("redelivered", "%d%s", s.Redelivered, byLane(s, func(l admin.LaneStatus) string { return fmt.Sprint(l.Redelivered) }))
	row("oldest event", "%s%s", oldestText(s), byLane(s, laneAge))
	if text := delaysText(s); text != "" {
		row("time to revoked", "%s", text)
	}
	for _, text := range emptyTexts(s) {
		row("deleted nothing", "%s", text)
	}
	row("objective", "%s", objectiveText(s.Workers))
	row("dead letters", "%s", letterText(s.DeadLetters))
	row("workers", "%s", workersText(s))
	for _, w := range s.Workers {
		row("", "%s", workerText(w))
		for _, held := range w.Held {
			row("", "  holds back the events of service %s for %s: %s", terminal.Printable(held.Service, ""),
				terminal.Seconds(int(time.Since(held.Since).Seconds())), terminal.Printable(held.Reason, ""))
		}
	}
	for _, unknown := range s.Unknown {
		row("unknown", "%s", unknown)
	}
	_ = table.Flush() // a strings.Builder takes everything
	return text.String()
}

// byLane adds what of a total belongs to which lane.
func byLane(s admin.Status, figure func(admin.LaneStatus) string) string {
	if len(s.Lanes) < 2 {
		return ""
	}
	var parts []string
	for _, l := range s.Lanes {
		parts = append(parts, fmt.Sprintf("%s %s", l.Lane, figure(l)))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func laneAge(l admin.LaneStatus) string {
	if l.Oldest == nil {
		return "-"
	}
	return terminal.Seconds(l.Oldest.Age)
}

func pauseText(l admin.LaneStatus) string {
	switch {
	case !l.Paused:
		return ""
	case l.PausedUntil == nil:
		return ", PAUSED until it is resumed"
	}
	return ", PAUSED until " + terminal.Moment(*l.PausedUntil)
}

func oldestText(s admin.Status) string {
	if s.Oldest == nil {
		return "-"
	}
	text := fmt.Sprintf("%s old, sequence %d", terminal.Seconds(s.Oldest.Age), s.Oldest.Sequence)
	if s.MaxAge > 0 && s.Oldest.Age > s.MaxAge/2 {
		text += fmt.Sprintf(" (the stream drops events after %s)", terminal.Seconds(s.MaxAge))
	}
	return text
}

func letterText(letters *admin.DeadLetterCount) string {
	if letters == nil {
		return "-"
	}
	text := fmt.Sprint(letters.Total)
	if letters.Total == 0 || len(letters.Reasons) == 0 {
		return text
	}
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(letters.Reasons)) {
		reasons = append(reasons, fmt.Sprintf("%s %d", reason, letters.Reasons[reason]))
	}
	text += ": " + strings.Join(reasons, ", ")
	if letters.Counted < letters.Total {
		text += fmt.Sprintf(" (of the newest %d)", letters.Counted)
	}
	if letters.Oldest != nil {
		text += fmt.Sprintf("; the oldest is %s old", terminal.Seconds(int(max(time.Since(*letters.Oldest), 0).Seconds())))
	}
	return text
}

// workersText says how many there are, as far as it is known.
func workersText(s admin.Status) string {
	switch {
	case len(s.Workers) > 0 && s.OpenPulls > len(s.Workers):
		return fmt.Sprintf("%d answered, but %d wait for events", len(s.Workers), s.OpenPulls)
	case len(s.Workers) > 0:
		return fmt.Sprint(len(s.Workers))
	case s.OpenPulls > 0:
		return fmt.Sprintf("none answered, but %d wait for events", s.OpenPulls)
	}
	return "none answered"
}

func workerText(w peer.State) string {
	text := fmt.Sprintf("%s, %s, up %s: %s in flight", terminal.Printable(w.Name, ""), terminal.Printable(w.Version, ""),
		terminal.Seconds(int(time.Since(w.Started).Seconds())), terminal.Counted(w.InFlight, "call"))
	if w.Limit > 0 {
		text += fmt.Sprintf(" of %d (%s)", w.Limit, limitText(w))
	}
	if w.Reason == "" {
		return text
	}
	text += ", breaker " + terminal.Printable(w.Breaker, "")
	if w.BreakerSince != nil {
		text += " since " + terminal.Moment(*w.BreakerSince)
	}
	if w.NextProbe != nil {
		text += ", next probe in " + terminal.Seconds(int(max(time.Until(*w.NextProbe), 0).Seconds()+0.5))
	}
	return text + ": " + terminal.Printable(w.Reason, "")
}

// limitText says why no more calls are in flight.
func limitText(w peer.State) string {
	switch w.LimitedBy {
	case "concurrency":
		return "REVOKER_CONCURRENCY"
	case "start":
		return "no load has asked for more yet"
	case "latency":
		return "more would queue at the API"
	case "failures":
		return "calls time out or are turned away"
	case "breaker":
		return "the circuit breaker"
	case "rate":
		return fmt.Sprintf("the API allows %.3g calls/s", w.Rate)
	}
	return terminal.Printable(w.LimitedBy, "")
}

// delaysText has the longest p50 and p99 that a worker tells, by lane.
func delaysText(s admin.Status) string {
	var texts []string
	telling := 0
	for _, l := range s.Lanes {
		var worst peer.LaneDelay
		n := 0
		for _, w := range s.Workers {
			if d := w.Delays[l.Lane]; d.Revoked > 0 {
				worst.P50, worst.P99, n = max(worst.P50, d.P50), max(worst.P99, d.P99), n+1
			}
		}
		telling = max(telling, n)
		if worst.P99 > 0 {
			texts = append(texts, fmt.Sprintf("%s p50 %s, p99 %s", l.Lane, milliseconds(worst.P50), milliseconds(worst.P99)))
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return strings.Join(texts, "; ") + " in the last minute" + longestOf(telling)
}

// longestOf says that a figure is not that of all workers together, but the longest that one of them tells.
func longestOf(workers int) string {
	if workers < 2 {
		return ""
	}
	return fmt.Sprintf(" (the longest of %d workers)", workers)
}

func milliseconds(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
}

// leastRevoked is from how many revocations on a source is judged: a session that is ended twice is no reason for alarm.
const leastRevoked = 5

// emptyTexts name the sources whose revocations delete nothing more often than not: their IDs may be wrong.
func emptyTexts(s admin.Status) (list []string) {
	counts := map[string]peer.SourceCount{}
	for _, w := range s.Workers {
		for _, c := range w.Sources {
			sum := counts[c.Source]
			counts[c.Source] = peer.SourceCount{Revoked: sum.Revoked + c.Revoked, Empty: sum.Empty + c.Empty}
		}
	}
	for _, source := range slices.Sorted(maps.Keys(counts)) {
		if c := counts[source]; c.Revoked >= leastRevoked && 2*c.Empty > c.Revoked {
			list = append(list, fmt.Sprintf("%d of the last %d revocations of source %s: are its IDs session IDs of Authlete?", c.Empty, c.Revoked, terminal.Printable(source, "")))
		}
	}
	return list
}

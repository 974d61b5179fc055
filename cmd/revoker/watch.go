package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
	"github.com/spf13/cobra"

	"revoker/cmd/revoker/connection"
	"revoker/cmd/revoker/exit"
	"revoker/cmd/revoker/terminal"
	"revoker/events/admin"
)

// watchStatus shows the status every interval until the command's context is done. The first status must be readable; later
// failures are shown, and tried again.
func watchStatus(cmd *cobra.Command, interval time.Duration, asJSON bool) error {
	cfg, err := connection.Load(cmd)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	log := terminal.NewLogger(cmd.ErrOrStderr(), terminal.Quiet(cfg))
	if terminal.IsTerminal(out) {
		log = slog.New(slog.DiscardHandler) // its lines would stand between those of the screen
	}
	cfg, conn, err := connection.OpenWith(cmd, cfg, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := admin.NewStatusReader(conn, cfg)
	status, err := reader.Read(cmd.Context())
	if err != nil {
		return exit.Problem(err)
	}
	show := watchLine
	switch {
	case asJSON:
		show = watchJSON
	case terminal.IsTerminal(out):
		show = watchScreen
		fmt.Fprint(out, terminal.EnterScreen)
		defer fmt.Fprint(out, terminal.LeaveScreen)
	}
	history := &history{interval: interval}
	history.Add(status)
	return exit.Problem(watchLoop(cmd.Context(), reader, history, func() error { return show(out, history) }))
}

func watchLoop(ctx context.Context, reader *admin.StatusReader, history *history, show func() error) error {
	ticker := time.NewTicker(history.interval)
	defer ticker.Stop()
	for {
		if err := show(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		status, err := reader.Read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if history.failure = err; err == nil {
			history.Add(status)
		}
	}
}

// watchJSON prints one object a line.
func watchJSON(out io.Writer, h *history) error {
	object, err := json.Marshal(struct {
		admin.Status
		admin.Rates
		Failure string `json:"failure,omitempty"`
	}{h.Last(), h.Rates(), failureText(h.failure)})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", terminal.PrintableJSON(object))
	return err
}

// watchLine prints one line.
func watchLine(out io.Writer, h *history) error {
	s := h.Last()
	line := fmt.Sprintf("%s  backlog %d%s  unsettled %d  redelivered %d  dead letters %s  oldest %s  %s",
		time.Now().Format(time.TimeOnly), s.Backlog, byLane(s, func(l admin.LaneStatus) string { return fmt.Sprint(l.Backlog) }), s.Unsettled, s.Redelivered, letterText(s.DeadLetters), oldestText(s), ratesText(h.Rates(), s))
	if h.failure != nil {
		line = fmt.Sprintf("%s  %s", time.Now().Format(time.TimeOnly), failureText(h.failure))
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

func failureText(err error) string {
	if err == nil {
		return ""
	}
	return "the status can't be read, trying again: " + err.Error()
}

// watchScreen draws the whole screen anew, without a line more or wider than it has. It is one write, so that it does not
// flicker.
func watchScreen(out io.Writer, h *history) error {
	width, height := terminal.Size(out)
	if width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines := screenLines(h, width, height, time.Now())
	var text strings.Builder
	text.WriteString(terminal.ToTop)
	for i, line := range lines {
		if i > 0 {
			text.WriteString("\r\n")
		}
		text.WriteString(terminal.Cut(line, width) + terminal.ClearLine)
	}
	text.WriteString(terminal.ClearBelow)
	_, err := io.WriteString(out, text.String())
	return err
}

// screenLines is what the screen shows: the status, and plots as far as there is room.
func screenLines(h *history, width, height int, now time.Time) []string {
	s := h.Last()
	title := fmt.Sprintf("revoker status, %s, every %s; Ctrl-C ends it", now.Format(time.TimeOnly), h.interval)
	lines := []string{title, ratesText(h.Rates(), s), ""}
	lines = append(lines, strings.Split(strings.TrimRight(statusText(s), "\n"), "\n")...)
	if h.failure != nil {
		lines = append(lines, "", failureText(h.failure))
	}
	left, settled := h.Series()
	list := []plot{{"events not settled, the last " + h.Span().Round(time.Second).String(), left}, {"settled a second", settled}}
	lines = append(lines, plots(width, height-len(lines), list)...)
	return lines[:min(len(lines), height)]
}

type plot struct {
	title  string
	values []float64
}

const (
	leastPlot = 4  // lines, or there is none
	mostPlot  = 10 // lines
	plotAxis  = 12 // columns for the numbers beside it
	leastTop  = 1  // of the axis
)

// axisLabels writes the numbers of an axis, whose top is the largest value, with as many decimals as tell two lines apart.
func axisLabels(values []float64, height int) func(float64) string {
	step := max(slices.Max(values), leastTop) / float64(height)
	decimals := max(0, int(math.Ceil(-math.Log10(step))))
	scale := math.Pow10(decimals)
	return func(value float64) string {
		return strconv.FormatFloat(math.Round(value*scale)/scale+0, 'f', decimals, 64) // + 0 makes -0 a 0
	}
}

// plots draws as many of the plots as room lines hold, a blank line and a title above each.
func plots(width, room int, list []plot) []string {
	const around = 3 // blank, title, and the line that a plot has beyond its height
	n := min(len(list), room/(leastPlot+around))
	if n <= 0 || width < 2*plotAxis {
		return nil
	}
	var lines []string
	for _, p := range list[:n] {
		lines = append(lines, "", p.title)
		if len(p.values) < 2 {
			continue
		}
		height := min(room/n-around, mostPlot)
		graph := asciigraph.Plot(p.values, asciigraph.Height(height), asciigraph.Width(width-plotAxis),
			asciigraph.LowerBound(0), asciigraph.UpperBound(leastTop), asciigraph.YAxisValueFormatter(axisLabels(p.values, height)))
		lines = append(lines, strings.Split(graph, "\n")...)
	}
	return lines
}

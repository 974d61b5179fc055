package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"revoker/config"
)

// result is what publish did. Its JSON form is for programs.
type result struct {
	DryRun bool `json:"dryRun"`
	// Lane is the one that was published to; empty for none.
	Lane config.Lane `json:"lane,omitempty"`

	Complete     bool   `json:"complete"`
	Rows         int64  `json:"rows"`
	Skipped      int64  `json:"skipped"`
	Published    int64  `json:"published"`
	AlreadyThere int64  `json:"alreadyThere"`
	Duplicates   *int64 `json:"duplicates,omitempty"` // of a dry run
	Invalid      int64  `json:"invalid"`

	Faults []faultJSON `json:"faults,omitempty"` // the first invalid rows

	Seconds float64   `json:"seconds"`
	Error   string    `json:"error,omitempty"`
	Warning string    `json:"warning,omitempty"`
	Stopped *stopJSON `json:"stopped,omitempty"`

	cause   error
	rejects string
}

type faultJSON struct {
	Input  string `json:"input"`
	Line   int64  `json:"line"`
	Reason string `json:"reason"`
}

// stopJSON is how far it came.
type stopJSON struct {
	Input string `json:"input"`
	Line  int64  `json:"line"`           // up to which every row is stored, or was rejected
	GoOn  string `json:"goOn,omitempty"` // of what was stopped; a dry run begins anew
}

func (p *publication) summarise(stopped error, o *options, goOn string) result {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := result{
		DryRun: o.dryRun, Lane: p.lane, Complete: stopped == nil, Rows: p.tally.rows, Skipped: p.tally.skipped, Published: p.tally.published,
		AlreadyThere: p.tally.alreadyThere, Invalid: p.tally.invalid, Seconds: p.progress.Took().Seconds(),
		cause: stopped, rejects: o.rejects,
	}
	if o.dryRun {
		s.Duplicates = &p.tally.duplicates
	}
	for _, f := range p.faults {
		s.Faults = append(s.Faults, faultJSON{f.input, f.line, f.reason.Error()})
	}
	if stopped == nil && s.Rows == s.Skipped {
		s.Warning = nothingThere(s.Skipped)
	}
	if stopped != nil {
		if s.Error = stopped.Error(); errors.Is(stopped, context.Canceled) {
			s.Error = "interrupted"
		}
		s.Stopped = &stopJSON{Input: title(p.inputs.names[p.tally.reached.input]), Line: p.tally.reached.line}
		if !o.dryRun {
			s.Stopped.GoOn = goOn
		}
	}
	return s
}

// nothingThere is the warning for an input without a row to publish. An export that failed looks like that.
func nothingThere(skipped int64) string {
	if skipped > 0 {
		return fmt.Sprintf("nothing to publish: --skip skipped all %d rows", skipped)
	}
	return "nothing to publish: the input is empty"
}

func (s result) write(out io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(s)
	}
	_, err := io.WriteString(out, s.text())
	return err
}

func (s result) text() string {
	var b strings.Builder
	if s.DryRun {
		fmt.Fprintf(&b, "nothing sent: %d rows, duplicates %d, invalid %d", s.Rows, *s.Duplicates, s.Invalid)
	} else {
		fmt.Fprintf(&b, "published %d, already there %d, invalid %d", s.Published, s.AlreadyThere, s.Invalid)
	}
	if s.Skipped > 0 {
		fmt.Fprintf(&b, ", skipped %d", s.Skipped)
	}
	if sent := float64(s.Published + s.AlreadyThere); s.Seconds >= 1 && sent > 0 {
		fmt.Fprintf(&b, " in %s, %.0f/s", time.Duration(s.Seconds*float64(time.Second)).Round(100*time.Millisecond), sent/s.Seconds)
	}
	b.WriteByte('\n')
	for _, f := range s.Faults {
		fmt.Fprintf(&b, "  %s, line %d: %s\n", f.Input, f.Line, f.Reason)
	}
	if more := s.Invalid - int64(len(s.Faults)); more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	switch {
	case s.Stopped == nil:
	case s.DryRun:
		fmt.Fprintf(&b, "it was checked up to line %d of %s, not to the end\n", s.Stopped.Line, s.Stopped.Input)
	case s.Stopped.Line == 0:
		fmt.Fprintf(&b, "nothing is done yet; go on with\n  %s\n", s.Stopped.GoOn)
	default:
		fmt.Fprintf(&b, "everything up to line %d of %s is done; go on with\n  %s\n", s.Stopped.Line, s.Stopped.Input, s.Stopped.GoOn)
	}
	return b.String()
}

// problem is what makes the exit code 1.
func (s result) problem() error {
	switch {
	case s.cause != nil:
		return errors.New(s.Error)
	case s.Invalid > 0 && s.rejects != "":
		return fmt.Errorf("rows that are not events: %d, kept in %s", s.Invalid, s.rejects)
	case s.Invalid > 0:
		return fmt.Errorf("rows that are not events: %d", s.Invalid)
	}
	return nil
}

// goOn is the command that does what is left. It never quotes a session ID.
func goOn(cmd *cobra.Command, args []string, p *publication) string {
	p.mu.Lock()
	reached := p.tally.reached
	p.mu.Unlock()
	words := []string{"revoker", "publish"}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "skip" && f.Name != "session" {
			words = append(words, "--"+f.Name+"="+quoteWord(f.Value.String()))
		}
	})
	switch {
	case len(p.inputs.sessions) > 0:
		return strings.Join(append(words, "--session=…"), " ") + "  # the same sessions again: none is stored twice"
	case reached.line > 0:
		words = append(words, "--skip="+strconv.FormatInt(reached.line, 10))
	}
	for _, name := range args[min(reached.input, len(args)):] {
		words = append(words, quoteWord(name))
	}
	text := strings.Join(words, " ")
	if p.inputs.names[reached.input] == standardInput {
		text += "  # with the same input"
	}
	return text
}

// quoteWord quotes a word for a shell.
func quoteWord(word string) string {
	if word != "" && strings.IndexFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,+@%", r))
	}) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

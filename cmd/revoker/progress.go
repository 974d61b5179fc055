package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	barInterval  = 100 * time.Millisecond
	lineInterval = 5 * time.Second
)

// progress tells how far a long command has come: a bar with rate and time left where it writes to a terminal, otherwise a
// line every few seconds. Its methods are safe for concurrent use.
type progress struct {
	what  string
	began time.Time
	count atomic.Int64
	total atomic.Int64 // 0 while it is not known

	finishing sync.Once
	stop      chan struct{}
	done      sync.WaitGroup
}

// newProgress begins to tell progress on w. total is how many there are, or 0 if that is not known; what names them in the
// plural ("events").
func newProgress(w io.Writer, total int64, what string) *progress {
	p := &progress{what: what, began: time.Now(), stop: make(chan struct{})}
	p.total.Store(total)
	if isTerminal(w) {
		p.done.Go(func() { p.bar(w) })
	} else {
		p.done.Go(func() { p.lines(w) })
	}
	return p
}

// isTerminal reports whether w understands a terminal's control sequences.
func isTerminal(w any) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// Add tells that n more are done.
func (p *progress) Add(n int) { p.count.Add(int64(n)) }

// SetTotal replaces the total, for instance by a better estimate.
func (p *progress) SetTotal(n int64) { p.total.Store(n) }

// Finish removes the bar, so that a summary can follow. It may be called again.
func (p *progress) Finish() {
	p.finishing.Do(func() { close(p.stop) })
	p.done.Wait()
}

func (p *progress) bar(w io.Writer) {
	ticker := time.NewTicker(barInterval)
	defer ticker.Stop()
	var bar *progressbar.ProgressBar
	var most int64 // what the bar takes for the total
	for {
		count, total := p.count.Load(), p.total.Load()
		switch known := max(total, count+1); { // a full bar would be the end to the library, and an estimate may be too low
		case bar == nil || (total > 0 && most < 0): // one that began without a total can't count towards one
			if total <= 0 {
				known = -1
			}
			bar, most = newBar(w, known, p.what), known
		case total > 0 && known != most:
			bar.ChangeMax64(known)
			most = known
		}
		_ = bar.Set64(count)
		select {
		case <-p.stop:
			_ = bar.Clear()
			return
		case <-ticker.C:
		}
	}
}

func newBar(w io.Writer, total int64, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w), progressbar.OptionSetItsString(what), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionUseANSICodes(true), progressbar.OptionFullWidth(),
		progressbar.OptionSetSpinnerChangeInterval(0), // it would start a goroutine that nobody stops
	)
}

func (p *progress) lines(w io.Writer) {
	ticker := time.NewTicker(lineInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			fmt.Fprintln(w, progressLine(p.count.Load(), p.total.Load(), time.Since(p.began), p.what))
		}
	}
}

// progressLine says how many are done, of how many, how fast, and how long the rest takes at that rate.
func progressLine(count, total int64, took time.Duration, what string) string {
	rate := float64(count) / took.Seconds()
	if total <= 0 {
		return fmt.Sprintf("%d %s, %.0f/s", count, what, rate)
	}
	total = max(total, count)
	line := fmt.Sprintf("%d of %d %s (%d%%), %.0f/s", count, total, what, 100*count/total, rate)
	if count > 0 {
		left := time.Duration(float64(total-count) / rate * float64(time.Second))
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	return line
}

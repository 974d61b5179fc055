package terminal

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

	barWidth = 70 // columns that count, rate and times may take
)

// Progress tells how far a long command has come: a bar with rate and time left where it writes to a terminal, otherwise a
// line every few seconds. A terminal that is too narrow for a bar gets lines too, for each frame of it would be a new line. Its methods are safe for concurrent use.
type Progress struct {
	what  string
	began time.Time
	count atomic.Int64
	total atomic.Int64 // 0 while it is not known

	finishing sync.Once
	stop      chan struct{}
	done      sync.WaitGroup
}

// NewProgress begins to tell progress on w. total is how many there are, or 0 if that is not known; what names them in the
// plural ("events").
func NewProgress(w io.Writer, total int64, what string) *Progress {
	p := &Progress{what: what, began: time.Now(), stop: make(chan struct{})}
	p.total.Store(total)
	if width := Width(w); IsTerminal(w) && (width == 0 || width >= barWidth) {
		p.done.Go(func() { p.bar(w) })
	} else {
		p.done.Go(func() { p.lines(w) })
	}
	return p
}

// IsTerminal reports whether w understands a terminal's control sequences.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// AboveBar returns what other output to w goes through while there may be a bar: it wipes the bar, which is drawn anew below.
func AboveBar(w io.Writer) io.Writer {
	if IsTerminal(w) {
		return wipingWriter{w}
	}
	return w
}

type wipingWriter struct{ io.Writer }

func (w wipingWriter) Write(p []byte) (int, error) {
	if _, err := w.Writer.Write(append([]byte("\r\x1b[K"), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Add tells that n more are done.
func (p *Progress) Add(n int) { p.count.Add(int64(n)) }

// Took is how long it has been since NewProgress.
func (p *Progress) Took() time.Duration { return time.Since(p.began) }

// SetTotal replaces a total that NewProgress was given, for instance by a better estimate.
func (p *Progress) SetTotal(n int64) { p.total.Store(n) }

// Finish removes the bar, so that a summary can follow. It may be called again.
func (p *Progress) Finish() {
	p.finishing.Do(func() { close(p.stop) })
	p.done.Wait()
}

func (p *Progress) bar(w io.Writer) {
	total := p.total.Load()
	if total <= 0 {
		total = -1 // a spinner
	}
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w), progressbar.OptionSetItsString(p.what), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionUseANSICodes(true), progressbar.OptionFullWidth(), progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionSetSpinnerChangeInterval(0), // it would start a goroutine that nobody stops
	)
	ticker := time.NewTicker(barInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			_ = bar.Clear()
			return
		case <-ticker.C:
		}
		count := p.count.Load()
		// The library takes a full bar for the end, and an estimate may be too low.
		if now := max(p.total.Load(), count+1); total > 0 && now != total {
			bar.ChangeMax64(now)
			total = now
		}
		_ = bar.Set64(count)
	}
}

func (p *Progress) lines(w io.Writer) {
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

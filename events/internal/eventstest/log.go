package eventstest

import (
	"context"
	"log/slog"
	"sync"
)

// Log is a [slog.Handler] that keeps log messages.
type Log struct {
	mu    sync.Mutex
	lines []string
}

func (l *Log) Enabled(context.Context, slog.Level) bool { return true }
func (l *Log) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *Log) WithGroup(string) slog.Handler            { return l }

// Handle keeps a message with its attributes, after one space.
func (l *Log) Handle(_ context.Context, record slog.Record) error {
	line := " " + record.Message
	record.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

// Lines are the messages so far.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

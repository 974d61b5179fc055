package terminal

import (
	"io"
	"log/slog"
	"time"

	"revoker/config"
)

// NewLogger is a logger with the level and the format of the configuration.
func NewLogger(w io.Writer, cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel, ReplaceAttr: readable}
	if cfg.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// readable writes a duration as "1.5s". The JSON handler would write its nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		d, unit := a.Value.Duration(), time.Millisecond
		if d.Abs() < time.Second {
			unit = time.Microsecond
		}
		a.Value = slog.StringValue(d.Round(unit).String())
	}
	return a
}

// Quiet leaves a short-lived command's log its warnings.
func Quiet(cfg config.Config) config.Config {
	cfg.LogLevel = max(cfg.LogLevel, slog.LevelWarn)
	cfg.LogFormat = "text"
	return cfg
}

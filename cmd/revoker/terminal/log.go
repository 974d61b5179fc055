package terminal

import (
	"io"
	"log/slog"

	"revoker/config"
)

// NewLogger is a logger with the level and the format of the configuration.
func NewLogger(w io.Writer, cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// Quiet leaves a short-lived command's log its warnings.
func Quiet(cfg config.Config) config.Config {
	cfg.LogLevel = max(cfg.LogLevel, slog.LevelWarn)
	cfg.LogFormat = "text"
	return cfg
}

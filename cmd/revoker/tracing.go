package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	// traceFlushTimeout bounds the wait for the last spans at the end.
	traceFlushTimeout = 2 * time.Second
	// traceFaultInterval is how often it is said that traces can't be exported.
	traceFaultInterval = 30 * time.Second
)

// tracesWanted tells by the standard variables whether traces are to be exported. All but the ones that turn them on are
// left to the SDK: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
func tracesWanted(env func(string) string) (bool, error) {
	exporter := env("OTEL_TRACES_EXPORTER")
	endpoints := []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
	named := slices.ContainsFunc(endpoints, func(name string) bool { return env(name) != "" })
	switch {
	case env("OTEL_SDK_DISABLED") == "true", exporter == "none", exporter == "" && !named:
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, errors.New("OTEL_TRACES_EXPORTER: must be otlp or none")
	}
	for _, name := range endpoints { // the SDK would go on with its default
		if u, err := url.Parse(env(name)); env(name) != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return false, fmt.Errorf("%s: not an http or https URL", name)
		}
	}
	protocol := env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = env("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if protocol != "" && protocol != "http/protobuf" && protocol != "http/json" {
		return false, errors.New("OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf or http/json")
	}
	return true, nil
}

// startTracing returns the provider of traces, nil if none are wanted, and what ends it.
func startTracing(ctx context.Context, log *slog.Logger) (*sdktrace.TracerProvider, func(), error) {
	wanted, err := tracesWanted(os.Getenv)
	if err != nil || !wanted {
		return nil, func() {}, err
	}
	faults := &traceFaults{log: log}
	otel.SetErrorHandler(faults)
	otel.SetLogger(logr.FromSlogHandler(messageOnly{log.Handler()}))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("exporting traces (OTEL_EXPORTER_OTLP_…): %w", err)
	}
	// What the environment says of the resource comes last, and wins.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName("revoker"), semconv.ServiceVersion(currentVersion())), resource.WithFromEnv())
	if err != nil {
		log.Warn("the resource of traces is not known whole", "error", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	log.Info("exporting traces")
	return provider, func() {
		ctx, cancel := context.WithTimeout(context.Background(), traceFlushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			faults.Handle(err)
		}
	}, nil
}

// traceFaults logs why traces could not be exported, now and then.
type traceFaults struct {
	log *slog.Logger

	mu   sync.Mutex
	said time.Time
}

// Handle implements otel.ErrorHandler.
func (f *traceFaults) Handle(err error) {
	f.mu.Lock()
	due := time.Since(f.said) >= traceFaultInterval
	if due {
		f.said = time.Now()
	}
	f.mu.Unlock()
	if due {
		f.log.Warn("traces are not exported", "error", err)
	}
}

// messageOnly drops the attributes of a line, where the SDK quotes the variables that it can't read: one of them holds the
// headers, and with them a secret.
type messageOnly struct{ slog.Handler }

// Handle implements slog.Handler.
func (h messageOnly) Handle(ctx context.Context, r slog.Record) error {
	return h.Handler.Handle(ctx, slog.NewRecord(r.Time, r.Level, "OpenTelemetry: "+r.Message, r.PC))
}

// WithAttrs implements slog.Handler.
func (h messageOnly) WithAttrs([]slog.Attr) slog.Handler { return h }

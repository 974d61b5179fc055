//go:build !nodev

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"

	"revoker/cmd/revoker/receive"
	"revoker/config"
)

// devReceiver runs what `revoker receive` is until ctx ends. It returns where that takes signals, and what waits for its end.
func devReceiver(ctx context.Context, cfg config.Config, log *slog.Logger) (address string, wait func() error, err error) {
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- receive.Run(ctx, cfg, log, func(address string) { listening <- address })
	}()
	select {
	case address := <-listening:
		return address, func() error { return <-ended }, nil
	case err := <-ended:
		if taken(err, "REVOKER_RECEIVE_ADDR") && cfg.Receive.Addr != freeAddress {
			cfg.Receive.Addr = freeAddress
			return devReceiver(ctx, cfg, log)
		}
		return "", func() error { return nil }, err
	}
}

// taken reports whether err says that another process listens at the default address of a variable. Nobody asked for that very one.
func taken(err error, variable string) bool {
	_, set := os.LookupEnv(variable)
	return !set && errors.Is(err, syscall.EADDRINUSE)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"revoker/cmd/revoker/terminal"
	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/events/receive"
	"revoker/events/receive/issuer"
)

// checkReceiver checks what `revoker receive` needs, with its identity, which may do less than a worker's.
func checkReceiver(ctx context.Context, cfg config.Config, wrong error) (list admin.Findings, invalid bool) {
	if err := errors.Join(wrong, cfg.ValidateReceive(), receive.CheckToken(cfg.Receive)); err != nil {
		list.Add(admin.Failed, "configuration", oneLine(err), "`revoker run --help` describes the variables")
		list.Add(admin.Skipped, "NATS, issuers", "the configuration is wrong", "")
		return list, true
	}
	list.Add(admin.OK, "configuration", "every variable can be used", "")
	invalid = checkIssuers(ctx, cfg.Receive, &list)
	began := time.Now()
	conn, err := events.Connect(cfg.NATS, "revoker check", slog.New(slog.DiscardHandler), false)
	if err != nil {
		list.Add(admin.Failed, "NATS connection", natsFailure(err), natsRemedy(err))
		return list, invalid || errors.Is(err, config.ErrInvalid)
	}
	defer conn.Close()
	list.Add(admin.OK, "NATS connection", fmt.Sprintf("connected and authenticated in %s", time.Since(began).Round(time.Millisecond)), "")
	return append(list, admin.CheckPublishing(ctx, conn, cfg)...), invalid
}

// checkIssuers asks each issuer for its metadata and keys, as `revoker receive` does.
func checkIssuers(ctx context.Context, cfg config.Receive, list *admin.Findings) (invalid bool) {
	issuers, err := cfg.ReadIssuers()
	if err != nil {
		list.Add(admin.Failed, "issuers", oneLine(err), "correct the file; events/receive/README.md describes it")
		return true
	}
	for _, one := range issuers {
		*list = append(*list, checkIssuer(ctx, one))
	}
	return false
}

func checkIssuer(ctx context.Context, cfg config.Issuer) admin.Finding {
	f := admin.Finding{Name: "keys of issuer " + cfg.Name, State: admin.Failed}
	i := issuer.New(cfg, slog.New(slog.DiscardHandler))
	defer i.Close()
	if _, err := i.Refresh(ctx); err != nil {
		f.Detail = cfg.URL + ": " + err.Error()
		f.Remedy = "its logout tokens are answered 503 as long as this lasts; look at the issuer's URL, at the network, and at HTTPS_PROXY"
		return f
	}
	known, err := i.Known()
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	f.State = admin.OK
	f.Detail = fmt.Sprintf("%s, for %s", terminal.Counted(len(known.Keys), "key"), strings.Join(known.Algorithms, ", "))
	if !known.Sessions {
		f.State = admin.Warning
		f.Detail += "; it does not say that its logout tokens have a sid"
		f.Remedy = "tokens without one are refused: look at its backchannel_logout_session_supported, and at the client's backchannel_logout_session_required"
	}
	return f
}

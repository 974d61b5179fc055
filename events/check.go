package events

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"

	"revoker/config"
)

// Check looks at all that the worker needs of NATS: server, JetStream, streams, consumer and permissions. It stores and
// delivers nothing, unless store asks for one dead letter, which alone tells whether the server can write it.
func (c *Conn) Check(ctx context.Context, cfg config.Config, store bool) Findings {
	var list Findings
	c.checkServer(&list)
	if !c.checkJetStream(ctx, cfg, &list) {
		list.Add(Skipped, "streams, consumer, permissions", "JetStream can't be asked", "")
		return list
	}
	plan, err := c.MakePlan(ctx, cfg)
	if err != nil {
		list.Add(Failed, "streams and consumer", err.Error(), "see the README for the permissions that the account needs")
		return list
	}
	there := map[string]bool{}
	for _, o := range plan.Objects {
		list = append(list, c.checkObject(ctx, cfg, o))
		there[o.Kind+" "+o.Name] = !o.Missing
	}
	c.checkConsumerState(ctx, cfg, &list)
	c.checkConsuming(ctx, cfg, there["consumer "+cfg.Consumer], &list)
	c.checkDeadLetters(ctx, cfg, there["stream "+cfg.DeadLetterStream], &list)
	if store {
		list = append(list, c.checkStoring(ctx, cfg))
	}
	return list
}

// checkServer looks at the server's version and at the connection's encryption.
func (c *Conn) checkServer(list *Findings) {
	const name, oldest, pausing = "NATS server version", "2.9.0", "2.11.0"
	switch version := c.nc.ConnectedServerVersion(); {
	case !atLeast(version, 2, 9, 0):
		list.Add(Failed, name, version+" has not what revoker needs", "install "+oldest+" or later")
	case !atLeast(version, 2, 11, 0):
		list.Add(Warning, name, version+" can't pause a consumer", "`revoker pause` needs "+pausing+" or later")
	default:
		list.Add(OK, name, version, "")
	}
	const encryption = "NATS encryption"
	if _, err := c.nc.TLSConnectionState(); err == nil {
		list.Add(OK, encryption, "TLS", "")
	} else if server, err := url.Parse(c.nc.ConnectedUrlRedacted()); err == nil && loopback(server.Hostname()) {
		list.Add(OK, encryption, "none, on this machine alone", "")
	} else {
		list.Add(Warning, encryption, "session IDs travel in clear", "use tls:// in NATS_URL, or a network that is encrypted itself")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkJetStream asks for the event stream, and reports whether JetStream answers.
func (c *Conn) checkJetStream(ctx context.Context, cfg config.Config, list *Findings) bool {
	const name = "JetStream"
	for _, request := range []string{
		"STREAM.INFO." + cfg.Stream, "STREAM.INFO." + cfg.DeadLetterStream, "CONSUMER.INFO." + cfg.Stream + "." + cfg.Consumer,
	} {
		answer, err := c.probeFor(ctx, c.api+request, nil)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			list.Add(Failed, name, c.noJetStream(), "enable JetStream on the server and for the account, and set NATS_JS_DOMAIN to its domain, if it has one")
			return false
		case errors.Is(err, errDenied):
			list.Add(Failed, "permission to look at streams and consumer", err.Error(), "allow it in the account's permissions")
			return false
		case err != nil:
			list.Add(Failed, name, err.Error(), "look at the server's log; a cluster may have no leader")
			return false
		}
		if failure := apiError(answer.Data); failure != nil && failure.Code == 503 {
			list.Add(Failed, name, failure.Description, "enable JetStream on the server and for the account, or wait until it is ready")
			return false
		}
	}
	list.Add(OK, name, "it answers", "")
	return true
}

func (c *Conn) probeFor(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return c.probe(ctx, &nats.Msg{Subject: subject, Data: body})
}

// checkObject says how a stream or consumer differs, and where it is missing, whether it can be created.
func (c *Conn) checkObject(ctx context.Context, cfg config.Config, o Object) Finding {
	f := Finding{Name: o.Kind + " " + o.Name, State: OK, Detail: "as configured"}
	if o.Missing {
		return c.checkCreating(ctx, cfg, o, f)
	}
	var details, remedies []string
	for _, d := range o.Differences {
		if f.State != Failed {
			f.State = Warning
		}
		if d.Fault {
			f.State = Failed
		}
		details = append(details, d.String())
		if d.Remedy != "" {
			remedies = append(remedies, d.Setting+": "+d.Remedy)
		} else if !strings.HasPrefix(strings.Join(remedies, ""), "`revoker setup`") {
			remedies = append([]string{"`revoker setup` changes what can be changed"}, remedies...)
		}
	}
	if len(details) > 0 {
		f.Detail, f.Remedy = strings.Join(details, "; "), strings.Join(remedies, "; ")
	}
	return f
}

// checkConsumerState warns of what stops delivery.
func (c *Conn) checkConsumerState(ctx context.Context, cfg config.Config, list *Findings) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	info, err := c.consumerInfo(ctx, cfg)
	if err != nil {
		return // it is missing, which was said
	}
	const name = "delivery"
	limit := info.Config.MaxAckPending
	switch {
	case info.Paused:
		list.Add(Warning, name, "the consumer is paused", "`revoker resume` ends the pause")
	case limit > 0 && info.NumAckPending >= limit*8/10:
		list.Add(Warning, name,
			fmt.Sprintf("%d events are in work or wait for their retry; at %d no further ones are delivered", info.NumAckPending, limit),
			"find out why so many fail: `revoker status`, the workers' log; then raise REVOKER_MAX_ACK_PENDING and run `revoker setup`")
	default:
		list.Add(OK, name, fmt.Sprintf("%d of at most %d events are in work or wait for their retry", info.NumAckPending, limit), "")
	}
}

// checkCreating sends a request to create an object that no server takes, for the permission alone.
func (c *Conn) checkCreating(ctx context.Context, cfg config.Config, o Object, f Finding) Finding {
	subject := c.api + "STREAM.CREATE." + o.Name
	if o.Kind == "consumer" {
		subject = fmt.Sprintf("%sCONSUMER.CREATE.%s.%s.%s", c.api, cfg.Stream, o.Name, cfg.Subject)
	}
	_, err := c.probeFor(ctx, subject, []byte(`{"no request":`))
	if errors.Is(err, errDenied) {
		f.State, f.Detail = Failed, "it is missing, and the account may not create it"
		f.Remedy = "run `revoker setup` with an account that may, or allow this one to publish to " + subject
		return f
	}
	f.State, f.Detail, f.Remedy = Warning, "it is missing", "`revoker setup` creates it, and so does `revoker run`"
	return f
}

// checkConsuming tries whether the account may pull and settle. The pull request is one that the server refuses, so that it
// takes no event away from a worker; the acknowledgement is of nothing, and no server knows its kind.
func (c *Conn) checkConsuming(ctx context.Context, cfg config.Config, there bool, list *Findings) {
	const pulling, acking = "permission to pull", "permission to acknowledge"
	subject := fmt.Sprintf("%sCONSUMER.MSG.NEXT.%s.%s", c.api, cfg.Stream, cfg.Consumer)
	if !there {
		list.Add(Skipped, pulling, "there is no consumer yet", "")
	} else if _, err := c.probeFor(ctx, subject, []byte(`{"batch":"none"}`)); err != nil {
		list.Add(Failed, pulling, err.Error(), c.remedy(err, "look at the server's log; the consumer may have no leader"))
	} else {
		list.Add(OK, pulling, subject, "")
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	settlement := fmt.Sprintf("$JS.ACK.%s.%s.0.0.0.0.0", cfg.Stream, cfg.Consumer)
	if err := c.send(ctx, &nats.Msg{Subject: settlement, Data: []byte("revoker check")}); err != nil {
		list.Add(Failed, acking, err.Error(), c.remedy(err, "look at the server's log"))
	} else {
		list.Add(OK, acking, fmt.Sprintf("$JS.ACK.%s.%s.>", cfg.Stream, cfg.Consumer), "")
	}
}

func (c *Conn) remedy(err error, otherwise string) string {
	if errors.Is(err, errDenied) {
		return "allow it in the account's permissions; the README lists all that the worker needs"
	}
	return otherwise
}

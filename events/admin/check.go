package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/conn"
)

// Check looks at all that the worker needs of NATS: server, JetStream, streams, consumer and permissions. It delivers nothing, and
// stores nothing unless store asks for one dead letter. Only that tells whether the server can write.
func Check(ctx context.Context, conn *events.Conn, cfg config.Config, store bool) Findings {
	c := &check{conn: conn, cfg: cfg}
	c.run(ctx, store)
	return c.Findings
}

// check is one run of Check.
type check struct {
	Findings
	conn  *events.Conn
	cfg   config.Config
	fresh bool // the event stream is missing, so that it is created with both lanes
}

func (c *check) run(ctx context.Context, store bool) {
	c.checkServer()
	if !c.checkJetStream(ctx) {
		c.Add(Skipped, "streams, consumers, permissions", "JetStream can't be asked", "")
		return
	}
	c.checkBulkLane(ctx)
	plan, err := events.MakePlan(ctx, c.conn, c.cfg)
	if err != nil {
		c.Add(Failed, "streams and consumers", err.Error(), "see the README for the permissions that the account needs")
		return
	}
	exists := map[string]bool{}
	for _, o := range plan.Objects {
		c.fresh = c.fresh || o.Missing && o.Name == c.cfg.Stream
		c.Findings = append(c.Findings, c.checkObject(ctx, o))
		exists[o.Kind+" "+o.Name] = !o.Missing
	}
	c.checkRepublishing(ctx)
	for _, lane := range c.cfg.Lanes() {
		own := c.cfg.In(lane)
		if lane == config.Bulk && !exists["consumer "+own.Consumer] {
			continue // an installation with one lane, which was said
		}
		c.checkConsumerState(ctx, own, of(lane))
		c.checkPulling(ctx, own, of(lane), exists["consumer "+own.Consumer])
		c.checkAcknowledging(ctx, own, of(lane))
	}
	c.checkDeadLetters(ctx, exists["stream "+c.cfg.DeadLetterStream])
	if c.cfg.Receipts {
		c.checkReceipts(ctx, exists["stream "+c.cfg.ReceiptStream])
	}
	if store {
		c.Findings = append(c.Findings, c.checkStoring(ctx))
	}
}

// checkServer looks at the server's version and at the connection's encryption.
func (c *check) checkServer() {
	const name, oldest, pausing = "NATS server version", "2.9.0", "2.11.0"
	switch version := c.conn.NC().ConnectedServerVersion(); {
	case !c.conn.ServerAtLeast(2, 9, 0):
		c.Add(Failed, name, version+" is too old for revoker", "install "+oldest+" or later")
	case !c.conn.ServerAtLeast(2, 11, 0):
		c.Add(Warning, name, version+" can't pause a consumer", "`revoker pause` needs "+pausing+" or later")
	default:
		c.Add(OK, name, version, "")
	}
	const encryption = "NATS encryption"
	if _, err := c.conn.NC().TLSConnectionState(); err == nil {
		c.Add(OK, encryption, "TLS", "")
	} else if server, err := url.Parse(c.conn.NC().ConnectedUrlRedacted()); err == nil && config.Loopback(server.Hostname()) {
		c.Add(OK, encryption, "none, on this machine alone", "")
	} else {
		c.Add(Warning, encryption, "session IDs travel in clear", "use tls:// in NATS_URL, or a network that is encrypted itself")
	}
}

// checkJetStream asks for the event stream, and reports whether JetStream answers.
func (c *check) checkJetStream(ctx context.Context) bool {
	const name = "JetStream"
	requests := []string{
		"STREAM.INFO." + c.cfg.Stream, "STREAM.INFO." + c.cfg.DeadLetterStream, "CONSUMER.INFO." + c.cfg.Stream + "." + c.cfg.Consumer,
	}
	if c.cfg.Receipts {
		requests = append(requests, "STREAM.INFO."+c.cfg.ReceiptStream)
	}
	for _, request := range requests {
		answer, err := c.conn.ProbeAPI(ctx, request, nil)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			what, remedy := c.conn.JetStreamOff()
			c.Add(Failed, name, what, remedy)
			return false
		case errors.Is(err, conn.ErrDenied):
			c.Add(Failed, "permission to look at streams and consumer", err.Error(), "allow it in the account's permissions")
			return false
		case err != nil:
			c.Add(Failed, name, err.Error(), "look at the server's log; a cluster may have no leader")
			return false
		}
		failure := conn.APIError(answer.Data)
		switch {
		case failure != nil && failure.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount:
			what, remedy := c.conn.JetStreamOff()
			c.Add(Failed, name, what, remedy)
			return false
		case failure != nil && failure.Code == 503:
			c.Add(Failed, name, failure.Description, "look at the server's log, or wait until JetStream is ready")
			return false
		}
	}
	c.Add(OK, name, "it answers", "")
	return true
}

// checkObject says how a stream or consumer differs, or whether a missing one can be created.
func (c *check) checkObject(ctx context.Context, o events.Object) Finding {
	f := Finding{Name: o.Kind + " " + o.Name, State: OK, Detail: "as configured"}
	if o.Missing {
		return c.checkCreating(ctx, o, f)
	}
	var details []string
	for _, d := range o.Differences {
		if f.State != Failed {
			f.State = Warning
		}
		if d.Fault {
			f.State = Failed
		}
		details = append(details, d.String())
	}
	if len(details) > 0 {
		f.Detail, f.Remedy = strings.Join(details, "; "), events.Advice(o.Differences)
	}
	return f
}

// checkRepublishing warns of a stream that sends on what it stores. `revoker setup` leaves it alone, since somebody may want it.
func (c *check) checkRepublishing(ctx context.Context) {
	for _, name := range []string{c.cfg.Stream, c.cfg.DeadLetterStream} {
		stream, err := c.conn.JetStream().Stream(ctx, name)
		if err != nil {
			continue // it is missing, which was said
		}
		if on := stream.CachedInfo().Config.RePublish; on != nil && !on.HeadersOnly {
			c.Add(Warning, "copies of stream "+name, "it republishes to "+events.OneLine(on.Destination)+": whoever may subscribe there reads session IDs",
				"if nobody needs that: `nats stream edit "+name+" --no-republish`")
		}
	}
}

// checkConsumerState warns of what stops delivery.
func (c *check) checkConsumerState(ctx context.Context, own config.Config, of string) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	info, err := c.conn.ConsumerInfo(ctx, own.Stream, own.Consumer)
	if err != nil {
		return // it is missing, which is reported already
	}
	name := "delivery" + of
	limit := info.Config.MaxAckPending
	switch {
	case info.Paused:
		c.Add(Warning, name, "the consumer is paused", "`revoker resume` ends the pause")
	case limit > 0 && info.NumAckPending >= limit*8/10:
		c.Add(Warning, name,
			fmt.Sprintf("%d events are in work or wait for their retry; at %d no further ones are delivered", info.NumAckPending, limit),
			"find out why so many fail: `revoker status`, the workers' log; then raise REVOKER_MAX_ACK_PENDING and run `revoker setup`")
	default:
		c.Add(OK, name, fmt.Sprintf("%d of at most %d events are in work or wait for their retry", info.NumAckPending, limit), "")
	}
}

// checkCreating tries the permission to create an object, with a request that every server refuses.
func (c *check) checkCreating(ctx context.Context, o events.Object, f Finding) Finding {
	request, bulk := "STREAM.CREATE."+o.Name, false
	if o.Kind == "consumer" {
		bulk = o.Name == c.cfg.In(config.Bulk).Consumer
		request = "CONSUMER.CREATE." + c.cfg.Stream + "." + o.Name + "." + c.cfg.Subject
		if bulk {
			request = "CONSUMER.CREATE." + c.cfg.Stream + "." + o.Name + "." + c.cfg.BulkSubject
		}
	}
	if bulk && !c.fresh {
		f.State, f.Detail, f.Remedy = Warning, "it is missing, so all events take the live lane", "`revoker setup` creates it"
		return f
	}
	_, err := c.conn.ProbeAPI(ctx, request, []byte(`{"no request":`))
	if errors.Is(err, conn.ErrDenied) {
		f.State, f.Detail = Failed, "it is missing, and the account may not create it"
		f.Remedy = "run `revoker setup` with an account that may, or allow this one to publish to " + c.conn.API(request)
		return f
	}
	if other, subject := c.storedBy(ctx, o); other != "" {
		f.State, f.Detail, f.Remedy = Failed, "it is missing, and stream "+events.OneLine(other)+" stores "+subject+" already", events.OverlapRemedy(c.cfg, o.Name)
		return f
	}
	f.State, f.Detail, f.Remedy = Warning, "it is missing", "`revoker setup` creates it, and so does `revoker run`"
	return f
}

// storedBy names another stream that stores a subject of a missing one, which can't be created then. An account need not be allowed
// to ask.
func (c *check) storedBy(ctx context.Context, o events.Object) (stream, subject string) {
	const request = "STREAM.NAMES"
	c.conn.IgnoreSubjects(c.conn.API(request))
	for _, subject := range o.Subjects {
		answer, err := c.conn.ProbeAPI(ctx, request, fmt.Appendf(nil, `{"subject":%q}`, subject))
		if err != nil {
			break
		}
		var found struct{ Streams []string }
		if json.Unmarshal(answer.Data, &found) == nil && len(found.Streams) > 0 {
			return found.Streams[0], subject
		}
	}
	return "", ""
}

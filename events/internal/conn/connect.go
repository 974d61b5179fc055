// Package conn is revoker's connection to NATS: connecting, one request, one pull, one acknowledgement, and what a failure of
// each means. The rooms of revoker/events share it; nobody else sees more of it than [Conn].
package conn

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/natscontext"

	"revoker/config"
)

const (
	defaultURL     = "nats://127.0.0.1:4222"
	connectTimeout = 5 * time.Second
	reconnectWait  = time.Second
	// A dead connection is given up after 6 to 9 s, at the next ping after two without an answer. That is within the usual ack
	// wait, after which other workers take over the events of this one.
	pingInterval = 3 * time.Second
	maxPingsOut  = 2
	// A write that a server does not take holds the connection's lock, and with it everybody who publishes, and the pings. The
	// library's own limit is a minute.
	writeTimeout = 5 * time.Second
)

// Conn is a connection to NATS with its JetStream settings. It is safe for concurrent use.
type Conn struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	api  string // prefix of JetStream API subjects, "$JS.API." by default
	acks *ackBatcher
	log  *slog.Logger

	cfg   config.NATS
	inbox string // prefix of the subjects of answers, with its dot
	brief bool   // for a command whose errors say what the server forbids, so that the log need not

	link atomic.Int32 // what the client last said of the connection

	mu         sync.Mutex
	lastReason string // why the last attempt to connect failed, to log each reason once
	violations violations
}

// NC is the connection itself.
func (c *Conn) NC() *nats.Conn { return c.nc }

// JetStream is the JetStream of the configured domain.
func (c *Conn) JetStream() jetstream.JetStream { return c.js }

// API returns the subject of a request to the JetStream API, such as STREAM.INFO.SESSIONS.
func (c *Conn) API(request string) string { return c.api + request }

// Log is where the connection logs.
func (c *Conn) Log() *slog.Logger { return c.log }

// Connect connects as the configuration says. It reconnects for ever, even after an authentication error, since credentials
// are renewed. With wait it returns at once, even if the server cannot be reached yet; [Conn.AwaitConnected] waits for the
// server. Without wait it fails in that case. The error quotes no secret.
func Connect(cfg config.NATS, name string, log *slog.Logger, wait bool) (*Conn, error) {
	c := &Conn{log: log, cfg: cfg, brief: !wait}
	var reached settingsReached
	options := append(append([]nats.Option{reached.first}, c.handlers()...),
		nats.Name(name),
		nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPingsOut),
		nats.FlusherTimeout(writeTimeout),
		nats.ReconnectOnFlusherError(),
		// The library's own look-up of names has no end but the resolver's, and holds the lock too. Dialing looks them up as well,
		// within the time for connecting.
		nats.SkipHostLookup(),
		nats.IgnoreAuthErrorAbort(),
		nats.RetryOnFailedConnect(wait),
	)
	authentication, err := settings(cfg)
	if err != nil {
		return nil, err
	}
	options = append(append(options, authentication...), c.learnInbox, reached.last)

	var context natscontext.Settings
	if cfg.Context != "" {
		c.nc, context, err = natscontext.Connect(cfg.Context, append(options, overrideURL(cfg.URL))...)
	} else {
		url := cfg.URL.Reveal()
		if url == "" {
			url = defaultURL
		}
		c.nc, err = nats.Connect(url, options...)
	}
	if err != nil {
		return nil, reached.explain(scrub(err, cfg), cfg)
	}
	if c.nc.IsConnected() {
		c.link.CompareAndSwap(linkUnknown, linkUp)
	}
	if !wait {
		if err := c.checkInbox(); err != nil {
			c.nc.Close()
			return nil, connectError(err, cfg)
		}
	}
	if err := c.openJetStream(cfg, context); err != nil {
		c.nc.Close()
		return nil, config.Invalid(fmt.Errorf("opening JetStream: %w", err))
	}
	c.acks = newAckBatcher(c.nc, log)
	if wait && !c.nc.IsConnected() {
		log.Warn("NATS is not reachable yet; waiting for it", "servers", shownServers(cfg))
	}
	return c, nil
}

// settingsReached tells a wrong setting from a server that cannot be reached. nats.go applies the options in order, a context's
// own before ours, and connects after the last.
type settingsReached struct{ context, all bool }

func (r *settingsReached) first(*nats.Options) error { r.context = true; return nil }
func (r *settingsReached) last(*nats.Options) error  { r.all = true; return nil }

func (r *settingsReached) explain(err error, cfg config.NATS) error {
	switch {
	case !r.context:
		return config.Invalid(fmt.Errorf("NATS_CONTEXT or --context: %w", err))
	case !r.all:
		return config.Invalid(fmt.Errorf("setting up the connection to NATS: %w", err))
	}
	return connectError(err, cfg)
}

func (c *Conn) openJetStream(cfg config.NATS, context natscontext.Settings) (err error) {
	domain := cfg.JSDomain
	if domain == "" {
		domain = context.JSDomain
	}
	switch {
	case domain != "":
		c.api = "$JS." + domain + ".API."
		c.js, err = jetstream.NewWithDomain(c.nc, domain)
	case context.JSAPIPrefix != "":
		c.api = strings.TrimSuffix(context.JSAPIPrefix, ".") + "."
		c.js, err = jetstream.NewWithAPIPrefix(c.nc, context.JSAPIPrefix)
	default:
		c.api = jetstream.DefaultAPIPrefix
		c.js, err = jetstream.New(c.nc)
	}
	return err
}

// overrideURL replaces a context's servers if NATS_URL is set too.
func overrideURL(urls config.ServerURLs) nats.Option {
	return func(o *nats.Options) error {
		if !urls.IsZero() {
			o.Servers = strings.Split(urls.Reveal(), ",")
		}
		return nil
	}
}

func shownServers(cfg config.NATS) string {
	switch {
	case !cfg.URL.IsZero():
		return cfg.URL.String()
	case cfg.Context != "":
		return "the servers of context " + cfg.Context
	}
	return defaultURL
}

// scrub drops an error's text if it quotes the URLs, which may carry credentials.
func scrub(err error, cfg config.NATS) error {
	for url := range strings.SplitSeq(cfg.URL.Reveal(), ",") {
		if url != "" && strings.Contains(url, "@") && strings.Contains(err.Error(), strings.TrimSpace(url)) {
			return errors.New("a server URL can't be used")
		}
	}
	return err
}

package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
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
	// A dead connection is left after 6 to 9 s, at the next ping after two that were not answered: within the usual ack
	// wait, after which others take over what was in work here.
	pingInterval = 3 * time.Second
	maxPingsOut  = 2
)

// Conn is a connection to NATS with its JetStream settings. It is safe for concurrent use.
type Conn struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	api  string // prefix of JetStream API subjects, "$JS.API." by default
	acks *ackBatcher
	log  *slog.Logger

	mu         sync.Mutex
	lastReason string            // why the last attempt to connect failed, to say each reason once
	denied     []string          // the permissions violations that the server reported on this connection, each once
	tolerated  []string          // beginnings of subjects that the account need not be allowed to publish to
	warned     map[string]string // the differences of a stream or consumer, by its name
	answers    answers           // to whoever asks for this worker's state
}

// Connect connects as the configuration says and reconnects for ever after, an authentication error included, since
// credentials are renewed. With wait it returns at once even if the server is not there yet, and goes on trying;
// [Conn.AwaitConnected] waits for it. Without, it fails. The error quotes no secret.
func Connect(cfg config.NATS, name string, log *slog.Logger, wait bool) (*Conn, error) {
	c := &Conn{log: log, warned: map[string]string{}}
	var reached settingsReached
	options := append(append([]nats.Option{reached.first}, c.handlers()...),
		nats.Name(name),
		nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPingsOut),
		nats.IgnoreAuthErrorAbort(),
		nats.RetryOnFailedConnect(wait),
	)
	authentication, err := settings(cfg)
	if err != nil {
		return nil, err
	}
	options = append(append(options, authentication...), reached.last)

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
		return nil, reached.explain(scrub(err, cfg), shownServers(cfg))
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

// settingsReached tells errors of the settings from those of the way to the server: nats.go applies the options one after the
// other, a context's own before ours, and connects after the last.
type settingsReached struct{ context, all bool }

func (r *settingsReached) first(*nats.Options) error { r.context = true; return nil }
func (r *settingsReached) last(*nats.Options) error  { r.all = true; return nil }

func (r *settingsReached) explain(err error, servers string) error {
	switch {
	case !r.context:
		return config.Invalid(fmt.Errorf("NATS_CONTEXT: %w", err))
	case !r.all:
		return config.Invalid(fmt.Errorf("setting up the connection to NATS: %w", err))
	}
	return fmt.Errorf("connecting to NATS at %s: %w", servers, err)
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

// settings turns the variables other than the URL and the context into options; a context's own come before them.
func settings(cfg config.NATS) ([]nats.Option, error) {
	var options []nats.Option
	switch {
	case cfg.Creds != "":
		options = append(options, nats.UserCredentials(cfg.Creds))
	case cfg.NKey != "":
		nkey, err := nats.NkeyOptionFromSeed(cfg.NKey)
		if err != nil {
			return nil, config.Invalid(errors.New("NATS_NKEY: not an NKey seed file"))
		}
		options = append(options, nkey)
	case cfg.User != "":
		options = append(options, nats.UserInfo(cfg.User, cfg.Password.Reveal()))
	case !cfg.Token.IsZero():
		options = append(options, nats.Token(cfg.Token.Reveal()))
	}
	if cfg.CA != "" {
		options = append(options, nats.RootCAs(cfg.CA))
	}
	if cfg.Cert != "" {
		options = append(options, nats.ClientCert(cfg.Cert, cfg.Key))
	}
	if cfg.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(cfg.InboxPrefix))
	}
	return options, nil
}

// overrideURL replaces a context's servers where NATS_URL is set beside it.
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

// scrub drops an error's text where it quotes the URLs, which may carry credentials.
func scrub(err error, cfg config.NATS) error {
	for url := range strings.SplitSeq(cfg.URL.Reveal(), ",") {
		if url != "" && strings.Contains(url, "@") && strings.Contains(err.Error(), strings.TrimSpace(url)) {
			return errors.New("a server URL can't be used")
		}
	}
	return err
}

// handlers log each change of the connection's state once.
func (c *Conn) handlers() []nats.Option {
	return []nats.Option{
		nats.ConnectHandler(func(nc *nats.Conn) {
			c.log.Info("connected to NATS", "server", nc.ConnectedUrlRedacted(), "version", nc.ConnectedServerVersion())
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.log.Warn("disconnected from NATS; reconnecting", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			c.mu.Lock()
			c.lastReason, c.denied = "", nil // the account may be allowed more by now
			c.mu.Unlock()
			c.log.Info("reconnected to NATS", "server", nc.ConnectedUrlRedacted())
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if errors.Is(err, nats.ErrNoServers) { // says no more than that it waits
				return
			}
			c.unreachable(err)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				if c.answers.concerns(err) {
					c.log.Debug("this worker can't be asked for its state: its account is not allowed to answer")
					return
				}
				if strings.Contains(err.Error(), `"`+advisories) {
					c.log.Debug("this worker's account is not allowed to hear of the deletion of its stream; it asks instead")
					return
				}
				if c.tolerates(err) || !c.deny(err.Error()) {
					return
				}
			}
			if refused(err) {
				c.unreachable(err)
				return
			}
			c.log.Warn("NATS reported an error", "error", err)
		}),
	}
}

// unreachable logs why an attempt to connect failed, each reason once. nats.go tells of some failures in two ways, which
// differ in their capitals.
func (c *Conn) unreachable(err error) {
	reason := strings.ToLower(err.Error())
	c.mu.Lock()
	fresh := reason != c.lastReason
	c.lastReason = reason
	c.mu.Unlock()
	switch {
	case fresh && refused(err):
		c.log.Warn("NATS refuses the credentials; trying again", "error", err)
	case fresh:
		c.log.Warn("NATS can't be reached; trying again", "error", err)
	}
}

// refused reports whether the server does not accept the credentials, or no longer does.
func refused(err error) bool {
	for _, refusal := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// AwaitConnected returns once the connection is up, or with ctx's error.
func (c *Conn) AwaitConnected(ctx context.Context) error {
	changes := c.nc.StatusChanged(nats.CONNECTED)
	defer c.nc.RemoveStatusListener(changes)
	for !c.nc.IsConnected() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes:
		}
	}
	return nil
}

// Connected reports whether the connection is up now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// maxDenied is how many permissions violations are remembered. There are fewer subjects, but for inboxes.
const maxDenied = 64

// deny remembers a permissions violation. It reports whether it is a new one.
func (c *Conn) deny(violation string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.denied, violation) {
		return false
	}
	if len(c.denied) == maxDenied {
		c.denied = slices.Delete(c.denied, 0, 1)
	}
	c.denied = append(c.denied, violation)
	return true
}

// tolerate keeps refusals to publish to subjects with this beginning out of the log.
func (c *Conn) tolerate(beginning string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.tolerated, beginning) {
		c.tolerated = append(c.tolerated, beginning)
	}
}

func (c *Conn) tolerates(violation error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.tolerated, func(beginning string) bool { return strings.Contains(violation.Error(), `"`+beginning) })
}

// deniedSubject reports whether part is in a permissions violation that the server reported, which has its subject in
// quotation marks. The server answers a forbidden request with an error beside it, so that the request itself only times out.
func (c *Conn) deniedSubject(part string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.denied, func(violation string) bool { return strings.Contains(violation, part) })
}

// Flush sends what is buffered and waits until the server has it, for timeout at the most.
func (c *Conn) Flush(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c.acks.flush(ctx)
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("flushing to NATS: %w", err)
	}
	return nil
}

// Close closes the connection.
func (c *Conn) Close() {
	c.acks.close()
	c.nc.Close()
}

package conn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// handlers log each change of the connection's state once.
func (c *Conn) handlers() []nats.Option {
	return []nats.Option{
		nats.ConnectHandler(func(nc *nats.Conn) {
			c.link.Store(linkUp)
			c.log.Info("connected to NATS", "server", nc.ConnectedUrlRedacted(), "version", nc.ConnectedServerVersion())
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.link.Store(linkDown)
			if err != nil {
				c.log.Warn("disconnected from NATS; reconnecting", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			c.link.Store(linkUp)
			c.violations.forget() // the account may be allowed more by now
			c.mu.Lock()
			c.lastReason = ""
			c.mu.Unlock()
			c.log.Info("reconnected to NATS", "server", nc.ConnectedUrlRedacted())
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if !errors.Is(err, nats.ErrNoServers) { // it only says that the client waits before it tries again
				c.unreachable(err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.reported(err) }),
	}
}

// reported handles an error that the server or the client reported beside any request.
func (c *Conn) reported(err error) {
	c.violations.refuse(err)
	violation := errors.Is(err, nats.ErrPermissionViolation)
	quiet := false
	if violation {
		ignored := c.violations.ignored(err)
		quiet = !c.violations.note(err) || ignored || c.brief // what is not logged still explains later requests
	}
	switch {
	case credentialsRefused(err):
		c.unreachable(err)
	case quiet:
	case violation && c.violatesInbox(err):
		c.log.Warn("no answer can come", "error", inboxError{c.inbox})
	default:
		c.log.Warn("NATS reported an error", "error", err)
	}
}

// unreachable logs why an attempt to connect failed, each reason once. nats.go reports some failures twice, with different
// capitals.
func (c *Conn) unreachable(err error) {
	reason := strings.ToLower(err.Error())
	c.mu.Lock()
	fresh := reason != c.lastReason
	c.lastReason = reason
	c.mu.Unlock()
	_, remedy := refusal(err, c.cfg)
	switch {
	case fresh && credentialsRefused(err):
		c.log.Warn("NATS refuses the credentials; trying again", "error", err, "remedy", remedy)
	case fresh:
		c.log.Warn("NATS can't be reached; trying again", "error", err, "remedy", remedy)
	}
}

// credentialsRefused reports whether the server does not accept the credentials, or no longer does.
func credentialsRefused(err error) bool {
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

// What the client last said of the connection.
const (
	linkUnknown int32 = iota // nothing yet
	linkUp
	linkDown
)

// Connected reports whether the connection is up, as the client last said. It waits for nothing: the client itself answers only once
// it has written what it writes at the moment.
func (c *Conn) Connected() bool { return c.link.Load() == linkUp }

// ServerAtLeast compares the server's version, 2.10.4-beta.1 for example, with a released one. An unknown version is old.
func (c *Conn) ServerAtLeast(major, minor, patch int) bool {
	var have [3]int
	if n, _ := fmt.Sscanf(c.nc.ConnectedServerVersion(), "%d.%d.%d", &have[0], &have[1], &have[2]); n < 3 {
		return false
	}
	for i, want := range [3]int{major, minor, patch} {
		if have[i] != want {
			return have[i] > want
		}
	}
	return true
}

// Flush sends what is buffered and waits, for up to timeout, until the server has it.
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

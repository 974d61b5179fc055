package conn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// inboxError says that the account may not subscribe to its inbox, where every answer comes. It is an [ErrDenied].
type inboxError struct{ prefix string }

const inboxRemedy = "set NATS_INBOX_PREFIX to the prefix that the account may subscribe to"

func (e inboxError) what() string {
	return "the account may not subscribe to its inbox, " + e.prefix + ">"
}

// Error implements error.
func (e inboxError) Error() string { return e.what() + "; " + inboxRemedy }

// Is implements what errors.Is asks for.
func (e inboxError) Is(target error) bool { return target == ErrDenied }

// learnInbox is an option that comes after those that set the prefix, and before the first connection.
func (c *Conn) learnInbox(o *nats.Options) error {
	c.inbox = nats.InboxPrefix
	if o.InboxPrefix != "" {
		c.inbox = o.InboxPrefix + "."
	}
	return nil
}

// inboxQuoted begins the server's words about an inbox.
func (c *Conn) inboxQuoted() string { return `Subscription to "` + c.inbox }

// violatesInbox reports whether a violation is about the inbox. Without one every request times out, whatever it is.
func (c *Conn) violatesInbox(violation error) bool {
	return errors.Is(violation, nats.ErrPermissionViolation) && strings.Contains(violation.Error(), c.inboxQuoted())
}

// checkInbox finds out by one round trip whether answers can come.
func (c *Conn) checkInbox() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	sub, err := c.nc.SubscribeSync(c.nc.NewInbox())
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }()
		err = c.nc.FlushWithContext(ctx)
	}
	if err != nil {
		return fmt.Errorf("subscribing to the inbox: %w", err)
	}
	if c.violatesInbox(c.nc.LastError()) {
		return inboxError{c.inbox}
	}
	return nil
}

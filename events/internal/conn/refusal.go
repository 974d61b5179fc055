package conn

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/config"
)

// ConnectError is why a connection could not be made.
type ConnectError struct {
	servers string
	// What happened, and what to do about it.
	What, Remedy string
	err          error
}

// At is where the connection was to go, without credentials.
func (e *ConnectError) At() string { return e.servers }

// Error says it all.
func (e *ConnectError) Error() string {
	return fmt.Sprintf("connecting to NATS at %s: %s; %s", e.servers, e.What, e.Remedy)
}

// Unwrap returns the error of nats.go.

func (e *ConnectError) Unwrap() error { return e.err }

func connectError(err error, cfg config.NATS) error {
	what, remedy := refusal(err, cfg)
	return &ConnectError{servers: shownServers(cfg), What: what, Remedy: remedy, err: err}
}

// refusal puts an error of nats.go into an operator's words. The texts of nats.go name neither the cause (it says "no servers
// available" where a server refused the connection) nor a variable.
func refusal(err error, cfg config.NATS) (what, remedy string) {
	const address = "look at the address: NATS_URL, --server or the context"
	var unknown x509.UnknownAuthorityError
	var named x509.HostnameError
	var invalid x509.CertificateInvalidError
	var timeout net.Error
	var boxless inboxError
	switch text := err.Error(); {
	case errors.As(err, &boxless):
		return boxless.what(), inboxRemedy
	case credentialsRefused(err):
		return refusedCredentials(err, cfg)
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", "see whether the server runs, and " + address
	case errors.As(err, &timeout) && timeout.Timeout() && strings.HasPrefix(text, "read "):
		return fmt.Sprintf("something took the connection and said nothing for %s, so it is not a NATS server", connectTimeout), address + ", above all at the port"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server does not offer TLS", "use nats:// instead of tls://, without NATS_CA and NATS_CERT, or enable TLS on the server"
	case strings.Contains(text, "malformed HTTP"):
		return "the server does not speak WebSocket on this port", "use nats://, or the port of the server's websocket block"
	case errors.As(err, &unknown):
		return unknown.Error(), "set NATS_CA to the file of the authority that issued the server's certificate"
	case errors.As(err, &named):
		return named.Error(), "use a name in NATS_URL that the server's certificate has, or give the server another certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return invalid.Error(), "renew the server's certificate, or correct this machine's clock"
	case strings.Contains(text, "certificate required") && cfg.Cert != "": // it was not sent: the server named other authorities
		return withoutNATS(text), "the server wants a client certificate from another authority: look at NATS_CERT and NATS_KEY"
	case strings.Contains(text, "certificate required"):
		return withoutNATS(text), "the server asks for a client certificate: look at NATS_CERT and NATS_KEY"
	case strings.Contains(text, "remote error: tls:") && strings.Contains(text, "certificate"):
		return withoutNATS(text), "the server does not accept the client certificate: look at NATS_CERT and NATS_KEY"
	case strings.Contains(text, "closed by remote after TLS handshake"): // its reason got lost
		return withoutNATS(text), "the server may not accept the client certificate: look at NATS_CERT and NATS_KEY, and at the server's log"
	}
	return withoutNATS(err.Error()), address + "; then at the server, and at the network between"
}

func withoutNATS(text string) string { return strings.TrimPrefix(text, "nats: ") }

func refusedCredentials(err error, cfg config.NATS) (what, remedy string) {
	what = fmt.Sprintf("the server rejected the credentials (%s)", withoutNATS(err.Error()))
	switch {
	case cfg.Creds != "":
		if end := credentialsEnd(cfg.Creds); !end.IsZero() && end.Before(time.Now()) {
			return what, "replace the file in NATS_CREDS: its credentials expired at " + end.UTC().Format(time.RFC3339)
		}
		return what, "look at the file in NATS_CREDS"
	case cfg.NKey != "":
		return what, "look at the file in NATS_NKEY"
	case cfg.User != "":
		return what, "look at NATS_USER and NATS_PASSWORD"
	case !cfg.Token.IsZero():
		return what, "look at NATS_TOKEN"
	case strings.Contains(cfg.URL.Reveal(), "@"):
		return what, "look at the user and the password in the server's URL"
	case cfg.Context != "":
		return what, "look at the context " + cfg.Context
	case cfg.Cert != "":
		return what, "look at NATS_CERT and NATS_KEY"
	}
	return "the server asks for credentials, and none are set",
		"set NATS_CREDS, NATS_NKEY, NATS_USER with NATS_PASSWORD, or NATS_TOKEN"
}

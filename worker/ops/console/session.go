package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"revoker/events"
	"revoker/events/sessions"
)

const (
	// sessionScan is how long to look through dead letters and events. Each look is a request to the NATS server.
	sessionScan    = 2 * time.Second
	sessionTimeout = 20 * time.Second
)

// session says what became of a session, by its ID or its hash. It is a POST so that no ID gets into a URL, and for those who are
// signed in: it makes the NATS server work, one search at a time.
func (c *Console) session(w http.ResponseWriter, r *http.Request, _ *slog.Logger) {
	var request struct{ Session, Hash, Service string }
	if !decode(w, r, &request) {
		return
	}
	conn, _ := c.parts()
	if conn == nil {
		answer(w, http.StatusServiceUnavailable, failure{"The worker is not connected to NATS yet."})
		return
	}
	key, err := c.sessionKey(request.Session, request.Hash, request.Service)
	if err != nil {
		answer(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	select {
	case c.searches <- struct{}{}:
		defer func() { <-c.searches }()
	default:
		w.Header().Set("Retry-After", "2")
		answer(w, http.StatusServiceUnavailable, failure{"Another search is running. Try again in a moment."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), sessionTimeout)
	defer cancel()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sessionTimeout + writeTimeout))
	found, err := sessions.Find(ctx, conn, c.cfg, key, sessions.Options{Scan: sessionScan, All: true})
	if err != nil {
		answer(w, statusOf(err), failure{err.Error()})
		return
	}
	answer(w, http.StatusOK, found)
}

func (c *Console) sessionKey(id, hash, service string) (sessions.Key, error) {
	own := c.cfg.API.ServiceID
	if hash != "" {
		return sessions.ByHash(hash, own)
	}
	if service == "" {
		service = own
	}
	if err := events.SessionID(id).Validate(); err != nil {
		return sessions.Key{}, err
	}
	return sessions.ByID(events.SessionID(id), service, own), nil
}

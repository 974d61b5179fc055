// Package console serves the page where operators see what the workers do, and act on dead letters and pauses.
package console

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/events/peer"
	"revoker/worker"
	"revoker/worker/ops/fleet"
	"revoker/worker/ops/history"
)

// policy lets the page run its own scripts and talk to its own origin, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Console serves the page for operators. It shows the present state, the last 15 minutes and the dead letters, and lets
// operators act on them.
type Console struct {
	cfg      config.Config
	self     peer.Identity
	parts    Parts
	history  *history.History
	gate     *gate
	fleet    *fleet.Fleet
	scans    *scans
	lookups  chan struct{} // one place for each letter that is being read for a visitor
	searches chan struct{} // one place for a search for a session
	closing  <-chan struct{}

	mu      sync.Mutex
	readers int
}

// Parts returns the connection and the worker of this process. Each is nil until it is set up.
type Parts func() (*events.Conn, *worker.Worker)

// New returns a Console for a worker, with its history. Its feeds and readings end with ctx.
func New(ctx context.Context, cfg config.Config, self peer.Identity, parts Parts, past *history.History, log *slog.Logger) *Console {
	c := &Console{
		cfg: cfg, self: self, parts: parts, history: past,
		gate:  newGate(cfg.ConsoleToken, log),
		fleet: fleet.New(ctx, cfg, self, past), lookups: make(chan struct{}, visitorLookups), closing: ctx.Done(),
	}
	c.searches = make(chan struct{}, 1)
	c.scans = newScans(ctx, c.store, c.listLetters)
	return c
}

// Handler serves the page and its data. Whatever changes something is a POST, and the protection refuses those from the pages
// of other origins.
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", servePage)
	mux.HandleFunc("GET /console/feed", c.feed)
	mux.HandleFunc("POST /console/letters", c.letters)
	mux.HandleFunc("GET /console/letters/{sequence}", c.letter)
	mux.HandleFunc("POST /console/sign-in", c.gate.signIn)
	mux.HandleFunc("POST /console/sign-out", c.gate.signOut)
	mux.HandleFunc("POST /console/session", c.gate.acting(c.session))
	mux.HandleFunc("POST /console/sweep", c.gate.acting(c.sweep))
	mux.HandleFunc("POST /console/pause", c.gate.acting(c.pause))
	mux.HandleFunc("POST /console/resume", c.gate.acting(c.resume))
	return http.NewCrossOriginProtection().Handler(secured(mux))
}

// Latest returns the last reading of JetStream's state for an open page. It is nil while no page was open yet.
func (c *Console) Latest() *admin.Status { return c.fleet.Last() }

// Close waits for what runs beside requests. End the context of New first.
func (c *Console) Close() {
	c.fleet.Close()
	c.scans.close()
}

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

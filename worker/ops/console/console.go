// Package console serves the page where operators see what the workers do, and act on dead letters and pauses.
package console

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/worker"
	"revoker/worker/ops/history"
)

// page holds the files of the console page. The browser loads nothing from elsewhere. uplot.js and uplot.css are uPlot 1.6.32 as
// published (MIT, https://github.com/leeoniya/uPlot).
//
//go:embed page
var page embed.FS

// policy lets the page run its own scripts and talk to its own origin, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Console serves the page for operators. It shows the present state, the last 15 minutes and the dead letters, and lets
// operators act on them.
type Console struct {
	cfg      config.Config
	version  string
	host     string // the machine's name, empty if it has none
	parts    Parts
	history  *history.History
	gate     *gate
	fleet    *fleet
	scans    *scans
	lookups  chan struct{} // one place for each letter that is being read for a visitor
	searches chan struct{} // one place for a search for a session
	closing  <-chan struct{}

	mu      sync.Mutex
	readers int
}

// Parts returns the connection and the worker of this process. Each is nil until it is set up.
type Parts func() (*events.Conn, *worker.Worker)

// New returns a Console for a process of this version, with that process's history. Its feeds and readings end with ctx.
func New(ctx context.Context, cfg config.Config, version string, parts Parts, past *history.History, log *slog.Logger) *Console {
	host, _ := os.Hostname()
	c := &Console{
		cfg: cfg, version: version, host: host, parts: parts, history: past,
		gate:  newGate(cfg.ConsoleToken, log),
		fleet: &fleet{cfg: cfg, ctx: ctx}, lookups: make(chan struct{}, visitorLookups), closing: ctx.Done(),
	}
	c.searches = make(chan struct{}, 1)
	c.scans = newScans(ctx, c.store, c.listLetters)
	return c
}

// Handler serves the page and its data. Whatever changes something is a POST, and the protection refuses those from the pages
// of other origins.
func (c *Console) Handler() http.Handler {
	files, _ := fs.Sub(page, "page") // embedded, so it exists
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
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
func (c *Console) Latest() *admin.Status { return c.fleet.last() }

// Close waits for what runs beside requests. End the context of New first.
func (c *Console) Close() {
	c.fleet.running.Wait()
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

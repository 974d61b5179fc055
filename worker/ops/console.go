package ops

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"revoker/config"
)

// page holds the files of the console page. The browser loads nothing from elsewhere. uplot.js and uplot.css are uPlot 1.6.32 as
// published (MIT, https://github.com/leeoniya/uPlot).
//
//go:embed page
var page embed.FS

// policy lets the page run its own scripts and talk to its own origin, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// console serves the page for operators. It shows the present state, the last 15 minutes and the dead letters, and lets
// operators act on them.
type console struct {
	cfg      config.Config
	version  string
	host     string // the machine's name, empty if it has none
	server   *Server
	gate     *gate
	fleet    *fleet
	scans    *scans
	lookups  chan struct{} // one place for each letter that is being read for a visitor
	searches chan struct{} // one place for a search for a session
	closing  <-chan struct{}

	mu      sync.Mutex
	readers int
}

func newConsole(ctx context.Context, cfg config.Config, version string, server *Server, log *slog.Logger) *console {
	host, _ := os.Hostname()
	c := &console{
		cfg: cfg, version: version, host: host, server: server,
		gate:  newGate(cfg.ConsoleToken, log),
		fleet: &fleet{cfg: cfg, ctx: ctx}, lookups: make(chan struct{}, visitorLookups), closing: ctx.Done(),
	}
	c.searches = make(chan struct{}, 1)
	c.scans = newScans(ctx, c.store, c.listLetters)
	return c
}

// handler serves the page and its data. Whatever changes something is a POST, and the protection refuses those from the pages
// of other origins.
func (c *console) handler() http.Handler {
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

package ops

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"

	"revoker/config"
)

// page is the console page: what a browser loads, with nothing from anywhere else. uplot.js and uplot.css are uPlot 1.6.32 as
// published (MIT, https://github.com/leeoniya/uPlot).
//
//go:embed page
var page embed.FS

// policy lets the page run what comes with it and talk to where it came from, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// console is the page for operators: what goes on now and went on in the last 15 minutes, the dead letters, and the few
// things that can be done about them.
type console struct {
	cfg     config.Config
	version string
	server  *Server
	gate    *gate
	fleet   *fleet
	scans   *scans
	looking chan struct{} // held while a letter is read for somebody who is not signed in
	closing <-chan struct{}

	mu      sync.Mutex
	readers int
}

func newConsole(ctx context.Context, cfg config.Config, version string, server *Server, log *slog.Logger) *console {
	c := &console{
		cfg: cfg, version: version, server: server,
		gate:  newGate(cfg.ConsoleToken, log),
		fleet: &fleet{cfg: cfg, ctx: ctx}, looking: make(chan struct{}, lookers), closing: ctx.Done(),
	}
	c.scans = newScans(ctx, c.store, c.listLetters)
	return c
}

// handler serves the page and what it asks for. Everything that changes something is a POST, which a page of another origin
// can't send.
func (c *console) handler() http.Handler {
	files, _ := fs.Sub(page, "page") // it is embedded
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /console/feed", c.feed)
	mux.HandleFunc("POST /console/letters", c.letters)
	mux.HandleFunc("GET /console/letters/{sequence}", c.letter)
	mux.HandleFunc("POST /console/sign-in", c.gate.signIn)
	mux.HandleFunc("POST /console/sign-out", c.gate.signOut)
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

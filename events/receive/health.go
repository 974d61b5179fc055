package receive

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Readiness is the body of /readyz.
type Readiness struct {
	Ready      bool        `json:"ready"`
	Conditions []Condition `json:"conditions"`
	Warnings   []Warning   `json:"warnings"`
}

// Condition is one of the things that readiness depends on.
type Condition struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// Warning is something that an operator should look at although signals are taken.
type Warning struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// opsRoutes is what operators and probes reach.
func (s *Server) opsRoutes(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry: registry, MaxRequestsInFlight: 4, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}))
	return mux
}

// ready answers 200 if every condition holds, and 503 if not.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	readiness := s.readiness()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !readiness.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(readiness)
}

// readiness depends on the connection alone. A signal that could not be stored only warns: without requests nobody would find out
// that the next one can. Nor do issuers count: the others must not suffer from one that is away.
func (s *Server) readiness() Readiness {
	r := Readiness{Warnings: []Warning{}}
	nats, serving := "", ""
	if !s.conn.Connected() {
		nats = "not connected to NATS"
	}
	if s.draining.Load() {
		serving = "draining"
	}
	r.Conditions = []Condition{{Name: "nats", OK: nats == "", Reason: nats}, {Name: "serving", OK: serving == "", Reason: serving}}
	r.Ready = nats == "" && serving == ""
	if why := s.store.why(); why != "" && nats == "" {
		r.Warnings = append(r.Warnings, Warning{"stream", "the last signal was not stored: " + why})
	}
	for _, name := range s.unknownKeys() {
		r.Warnings = append(r.Warnings, Warning{"issuer " + name, "its keys are not known, so its logout tokens are answered 503"})
	}
	return r
}

// unknownKeys are the names of the issuers whose tokens can't be judged.
func (s *Server) unknownKeys() (names []string) {
	for _, i := range s.issuers {
		if _, err := i.Known(); err != nil {
			names = append(names, i.Name)
		}
	}
	slices.Sort(names)
	return names
}

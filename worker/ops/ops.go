// Package ops is the HTTP side of a worker: its health, its metrics and profiles. It serves the page of package console.
package ops

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/events/peer"
	"revoker/worker"
	"revoker/worker/authlete"
	"revoker/worker/ops/console"
	"revoker/worker/ops/history"
)

const (
	requestTimeout = 5 * time.Second // for reading a request, and for writing an answer that is not a stream
	idleTimeout    = time.Minute
	maxHeader      = 64 << 10 // bytes
)

// Server serves the health endpoints, metrics and the console page. A nil Server does nothing.
type Server struct {
	cfg      config.Config
	log      *slog.Logger
	registry *prometheus.Registry
	http     *http.Server
	served   sync.WaitGroup
	ctx      context.Context // for what runs beside requests
	cancel   context.CancelFunc
	address  string
	history  *history.History
	console  *console.Console
	hosts    *hosts
	try      preflight

	mu     sync.Mutex
	conn   *events.Conn
	worker *worker.Worker
	queue  *queue
}

// Listen listens on cfg.OpsAddr and serves a worker. It returns nil if that is empty. It serves the metrics of the registry, and registers
// its own there. The caller ends it with Close.
func Listen(cfg config.Config, self peer.Identity, registry *prometheus.Registry, log *slog.Logger) (*Server, error) {
	if cfg.OpsAddr == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", cfg.OpsAddr)
	if err != nil {
		return nil, fmt.Errorf("health endpoints (REVOKER_OPS_ADDR): %w", err)
	}
	s := &Server{cfg: cfg, log: log, registry: registry, address: listener.Addr().String(), history: history.New(cfg.Objective, cfg.Concurrency), try: preflight{log: log}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.hosts = newHosts(listener.Addr(), cfg.OpsHosts)
	s.console = console.New(s.ctx, cfg, self, s.parts, s.history, log)
	registry.MustRegister(newCollector(self.Version, s.facts))
	s.http = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: requestTimeout, WriteTimeout: requestTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.served.Go(func() { _ = s.http.Serve(listener) })
	log.Info("serving health endpoints", "address", listener.Addr().String())
	return s, nil
}

// routes returns everything that is served. A handler that streams must set its own write deadline. Only /livez, /readyz and
// /metrics answer to any name; see [hosts].
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/", s.hosts.guard(s.console.Handler()))
	mux.HandleFunc("GET /livez", s.live)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{
		Registry: s.registry, MaxRequestsInFlight: 4, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		EnableOpenMetrics: true, // the other text format has no exemplars
	}))
	if s.cfg.OpsPprof {
		mux.Handle("GET /debug/pprof/", s.hosts.guard(profiles()))
	}
	return mux
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// Preflight asks the API whether it accepts the token for the configured service, until it said so. Readiness waits for the first
// answer. A nil Server asks nothing.
func (s *Server) Preflight(api *authlete.Client) {
	if s == nil {
		return
	}
	s.try.begin(len(s.cfg.API.AllowedServiceIDs) == 0)
	s.served.Go(func() {
		s.try.run(s.ctx, func(ctx context.Context) worker.Preflight {
			return worker.TryService(ctx, api, s.cfg.API.ServiceID, "AUTHLETE_SERVICE_ID")
		})
	})
}

// Watch sets the connection that readiness depends on.
func (s *Server) Watch(conn *events.Conn) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
}

// Serve sets the worker, and begins to watch the queue. Until then readiness fails, because streams and consumer are not set up.
func (s *Server) Serve(w *worker.Worker) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worker = w
	s.queue = newQueue(admin.NewStatusReader(s.conn, s.cfg).ReadQueue)
	s.served.Go(func() { s.queue.run(s.ctx) })
	s.served.Go(func() { s.sample(w, s.queue) })
}

// Close ends the server.
func (s *Server) Close() {
	if s == nil {
		return
	}
	s.cancel()
	_ = s.http.Close()
	s.served.Wait()
	s.console.Close()
}

// Observe records a settlement for the console page. A nil Server ignores it.
func (s *Server) Observe(settlement worker.Settlement) {
	if s != nil {
		s.history.Observe(settlement)
		s.try.observe(settlement)
	}
}

// Complete is [history.History.Complete]. A nil Server adds nothing.
func (s *Server) Complete(state peer.State) peer.State {
	if s == nil {
		return state
	}
	return s.history.Complete(state)
}

// Recent is [history.History.Last]. A nil Server knows nothing.
func (s *Server) Recent(seconds int) *peer.History {
	if s == nil {
		return nil
	}
	return s.history.Last(seconds)
}

// parts returns the connection and the worker. Each is nil until it is set.
func (s *Server) parts() (*events.Conn, *worker.Worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn, s.worker
}

// Address returns the host and port where the server listens. It is empty for a nil Server.
func (s *Server) Address() string {
	if s == nil {
		return ""
	}
	return s.address
}

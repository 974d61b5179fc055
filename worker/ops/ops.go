// Package ops is the HTTP side of a worker: its health.
package ops

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"revoker/events"
	"revoker/worker"
)

// Server serves /livez and /readyz. A nil Server does nothing.
type Server struct {
	http   *http.Server
	served sync.WaitGroup

	mu     sync.Mutex
	conn   *events.Conn
	worker *worker.Worker
}

// Listen listens on addr and serves; it returns nil for an empty addr. The caller ends it with Close.
func Listen(addr string, log *slog.Logger) (*Server, error) {
	if addr == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("health endpoints (REVOKER_OPS_ADDR): %w", err)
	}
	s := &Server{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.ready)
	s.http = &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	s.served.Go(func() { _ = s.http.Serve(listener) })
	log.Info("serving health endpoints", "address", listener.Addr().String())
	return s, nil
}

// Watch names the connection whose state readiness depends on.
func (s *Server) Watch(conn *events.Conn) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
}

// Serve names the worker; until then readiness fails, for streams and consumer are not there.
func (s *Server) Serve(w *worker.Worker) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worker = w
}

// Condition is one of the things that readiness depends on.
type Condition struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// Readiness is the body of /readyz.
type Readiness struct {
	Ready      bool        `json:"ready"`
	Conditions []Condition `json:"conditions"`
}

// ready answers 200 if every condition holds, and 503 if not. An open circuit breaker alone is no reason: the worker is
// sound and waits; a misconfigured one needs its operator.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	conn, worker := s.conn, s.worker
	s.mu.Unlock()
	list := []Condition{
		condition("nats", conn != nil && conn.Connected(), "not connected to NATS"),
		condition("consumer", worker != nil, "streams and consumer are not set up yet"),
	}
	if worker != nil {
		reason, misconfigured := worker.Misconfigured()
		list = append(list, condition("configuration", !misconfigured, reason))
	}
	status := http.StatusOK
	for _, c := range list {
		if !c.OK {
			status = http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Readiness{Ready: status == http.StatusOK, Conditions: list})
}

func condition(name string, ok bool, reason string) Condition {
	if ok {
		reason = ""
	}
	return Condition{name, ok, reason}
}

// Close ends the server.
func (s *Server) Close() {
	if s == nil {
		return
	}
	_ = s.http.Close()
	s.served.Wait()
}

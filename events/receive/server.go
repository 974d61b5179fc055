package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"revoker/config"
	"revoker/events"
	"revoker/events/receive/issuer"
)

const (
	headerTimeout = 5 * time.Second  // for a request's header
	readTimeout   = 10 * time.Second // for all of a request
	storeTimeout  = 5 * time.Second  // for JetStream's confirmation
	writeTimeout  = 25 * time.Second // from the header's end to the answer's
	idleTimeout   = 90 * time.Second
	maxHeader     = 16 << 10 // bytes

	// readersPerSlot is how many anonymous senders may be on their way with a body for each request that is in work. With fewer a
	// handful of slow ones would keep all the others out; with more their bodies would take too much memory.
	readersPerSlot = 8
)

// Server takes signals in until it is told to drain.
type Server struct {
	log     *slog.Logger
	store   *store
	bearer  *bearer                   // nil turns POST /events off
	issuers map[string]*issuer.Issuer // by what they call themselves; none turns POST /backchannel-logout off
	metrics *metrics
	refused *refusedLog

	// One for each request in work. Each endpoint has its own, so that anonymous senders of one can't keep the other's out.
	eventSlots, logoutSlots chan struct{}
	logoutReaders           chan struct{} // one for each logout token that is read or in work
	largeSlots              chan struct{} // one for each large body of events
	patience                time.Duration // of a large body for its slot
	draining                atomic.Bool
	conn                    *events.Conn

	signals, ops listening
	drainTimeout time.Duration
}

// listening is an HTTP server with its listener. Without a listener it is off.
type listening struct {
	http     *http.Server
	listener net.Listener
}

// New listens on the configured addresses. Nothing is served before Run.
func New(cfg config.Config, issuers []config.Issuer, conn *events.Conn, registry *prometheus.Registry, log *slog.Logger) (*Server, error) {
	s := &Server{
		log: log, conn: conn, drainTimeout: cfg.DrainTimeout,
		store:      &store{publisher: events.NewSignalPublisher(conn, cfg.Stream, cfg.Subject), log: log},
		refused:    newRefusedLog(log),
		eventSlots: make(chan struct{}, cfg.Receive.Concurrency), logoutSlots: make(chan struct{}, cfg.Receive.Concurrency),
		logoutReaders: make(chan struct{}, readersPerSlot*cfg.Receive.Concurrency), largeSlots: make(chan struct{}, largeAtOnce),
		patience: largePatience,
	}
	var err error
	if s.bearer, err = newBearer(cfg.Receive, log); err != nil {
		return nil, config.Invalid(err)
	}
	s.metrics = newMetrics(registry, s)
	s.issuers = map[string]*issuer.Issuer{}
	for _, cfg := range issuers {
		i := issuer.New(cfg, log)
		i.Fetched = s.metrics.watch(i)
		s.issuers[cfg.URL] = i
	}
	if s.signals, err = listen(cfg.Receive.Addr, "REVOKER_RECEIVE_ADDR", s.routes(), log); err != nil {
		return nil, err
	}
	if cfg.Receive.OpsAddr == "" {
		return s, nil
	}
	if s.ops, err = listen(cfg.Receive.OpsAddr, "REVOKER_RECEIVE_OPS_ADDR", s.opsRoutes(registry), log); err != nil {
		s.signals.listener.Close()
		return nil, err
	}
	return s, nil
}

func listen(address, variable string, handler http.Handler, log *slog.Logger) (listening, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return listening{}, fmt.Errorf("%s: %w", variable, err)
	}
	return listening{listener: listener, http: &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

// routes is everything that senders reach.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /events", s.bounded(s.eventSlots, s.events))
	mux.Handle("POST /backchannel-logout", s.bounded(s.logoutReaders, s.logout))
	return mux
}

// Address is where signals are taken, host and port.
func (s *Server) Address() string { return s.signals.address() }

// OpsAddress is where health and metrics are served; empty if that is off.
func (s *Server) OpsAddress() string { return s.ops.address() }

func (l listening) address() string {
	if l.listener == nil {
		return ""
	}
	return l.listener.Addr().String()
}

// Run serves until ctx is done. Then it takes no more requests, and lets those in work finish within the drain timeout.
func (s *Server) Run(ctx context.Context) error {
	var serving sync.WaitGroup
	failed := make(chan error, 2)
	for _, l := range []listening{s.signals, s.ops} {
		if l.listener == nil {
			continue
		}
		serving.Go(func() {
			if err := l.http.Serve(l.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	watching, stop := context.WithCancel(context.Background())
	for _, i := range s.issuers {
		serving.Go(func() { i.Run(watching) })
	}
	s.log.Info("receiving signals", "address", s.Address(), "health", s.OpsAddress())
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("receiving signals: %w", err)
	}
	s.drain()
	stop()
	serving.Wait()
	return err
}

// drain ends the signals first, so that an operator sees it going on.
func (s *Server) drain() {
	s.draining.Store(true)
	s.log.Info("draining: no more signals are taken")
	ctx, cancel := context.WithTimeout(context.Background(), s.drainTimeout)
	defer cancel()
	if err := s.signals.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests were still in work when the drain timeout ended; their senders got no answer", "error", err)
		_ = s.signals.http.Close()
	}
	if s.ops.http != nil {
		_ = s.ops.http.Close()
	}
}

// bounded answers 503 while all slots are taken, so that a flood of senders costs neither memory nor the connection to NATS.
func (s *Server) bounded(slots chan struct{}, handle http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		w.Header().Set("Cache-Control", "no-store")
		if !s.take(w, slots) {
			return
		}
		defer func() {
			<-slots
			s.metrics.duration.Observe(time.Since(began).Seconds())
		}()
		handle(w, r)
	})
}

// take takes a slot, or answers that there is none.
func (s *Server) take(w http.ResponseWriter, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		s.metrics.overloaded.Inc()
		unavailable(w, time.Second, "too many requests are in work")
		return false
	}
}

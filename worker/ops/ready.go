package ops

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"revoker/config"
	"revoker/events/admin"
	"revoker/events/peer"
	"revoker/worker"
	"revoker/worker/admission"
)

// Condition is one of the things that readiness depends on.
type Condition struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// Warning is something that an operator should look at although the worker is ready.
type Warning struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Readiness is the body of /readyz.
type Readiness struct {
	Ready      bool        `json:"ready"`
	Conditions []Condition `json:"conditions"`
	Warnings   []Warning   `json:"warnings"`
}

// facts is what readiness and the gauges are computed from.
type facts struct {
	now       time.Time
	connected bool // to NATS
	setUp     bool // streams and consumer exist, and the worker runs

	state     peer.State
	misconfig bool // the configuration keeps every call from being made; state.Reason says why
	token     acceptance
	unserved  string // why pulls are not served
	queue     reading
	slots     int
	objective config.Objective
	services  []string // further services that events may name
	counts    worker.Counts
}

// facts collects the facts without waiting for anything.
func (s *Server) facts() facts {
	s.mu.Lock()
	conn, w, q := s.conn, s.worker, s.queue
	s.mu.Unlock()
	f := facts{now: time.Now(), connected: conn != nil && conn.Connected(), setUp: w != nil, slots: s.cfg.Concurrency, objective: s.cfg.Objective, services: s.cfg.API.AllowedServiceIDs, token: s.try.acceptance()}
	if w != nil {
		f.state, f.unserved, f.queue, f.counts = w.State(), w.Unserved(), q.latest(), w.Counts()
		if reason, misconfigured := w.Misconfigured(); misconfigured {
			f.misconfig, f.state.Reason = true, reason
		}
	}
	return f
}

// live answers 200 unless one of the worker's own loops stands still. It depends on nothing outside the process, because a
// restart would not fix that.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	working := s.worker
	s.mu.Unlock()
	if working != nil {
		if stuck := working.Stuck(); stuck != "" {
			http.Error(w, stuck, http.StatusServiceUnavailable)
			return
		}
	}
	_, _ = w.Write([]byte("ok\n"))
}

// ready answers 200 if every condition holds, and 503 if not.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	q := s.queue
	s.mu.Unlock()
	if q != nil {
		q.ask(r.Context())
	}
	readiness := judge(s.facts())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !readiness.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(readiness)
}

// judge decides whether the worker is ready. A worker whose circuit breaker is open is ready: it works and waits. A misconfigured
// worker is not ready: it needs its operator.
func judge(f facts) Readiness {
	r := Readiness{Warnings: warnings(f)}
	consumer := ""
	switch {
	case !f.setUp:
		consumer = "the streams and the consumer are not set up yet"
	case f.unserved != "":
		consumer = "events are not served: " + f.unserved
	case !f.queue.known(f.now) && f.queue.err != nil:
		consumer = "the state of the consumer is not known: " + f.queue.err.Error()
	}
	nats, configuration := "", ""
	if !f.connected {
		nats = "not connected to NATS"
	}
	switch {
	case f.misconfig:
		configuration = f.state.Reason
	case f.token.refused != "":
		configuration = f.token.refused
	case f.token.pending:
		configuration = "the logout API has not said yet whether it accepts the token"
	}
	r.Conditions = []Condition{
		{Name: "nats", OK: nats == "", Reason: nats},
		{Name: "consumer", OK: consumer == "", Reason: consumer},
		{Name: "configuration", OK: configuration == "", Reason: configuration},
	}
	r.Ready = nats == "" && consumer == "" && configuration == ""
	return r
}

// ackPendingWarning is the share of max ack pending at which a warning begins. At the limit nothing new is delivered.
const ackPendingWarning = 0.8

// warnings lists problems that do not keep the worker from working yet.
func warnings(f facts) []Warning {
	list := []Warning{}
	warn := func(name, format string, args ...any) {
		list = append(list, Warning{name, fmt.Sprintf(format, args...)})
	}
	if f.setUp && f.state.Breaker != string(admission.Closed) && !f.misconfig {
		warn("circuit breaker", "%s: %s", f.state.Breaker, f.state.Reason)
	}
	if f.token.unclear != "" {
		warn("token", "the logout API has not said whether it accepts the token: %s", f.token.unclear)
	}
	for _, held := range f.state.Held {
		warn("held service", "events of service %s have been held back since %s: %s", held.Service, held.Since.UTC().Format(time.RFC3339), held.Reason)
	}
	if !f.queue.known(f.now) {
		return list
	}
	s := f.queue.status
	for _, l := range s.Lanes {
		if l.MaxAckPending > 0 && float64(l.Unsettled) >= ackPendingWarning*float64(l.MaxAckPending) {
			warn("ack pending", "%s lane: %d events are in work or wait for their retry; from %d on nothing new is delivered (REVOKER_MAX_ACK_PENDING)",
				l.Lane, l.Unsettled, l.MaxAckPending)
		}
		if age, most := oldestAge(l.Oldest, f.now), time.Duration(s.MaxAge)*time.Second; l.Oldest != nil && most > 0 && age > most/2 {
			warn("max age", "%s lane: the oldest event is %s old; stream %s drops events after %s", l.Lane, age.Round(time.Minute), s.Stream, most)
		}
		if l.Paused {
			warn("paused", "%s lane: the consumer is paused, so no worker gets its events; `revoker resume` ends the pause", l.Lane)
		}
	}
	for _, unknown := range s.Unknown {
		warn("unknown", "%s", unknown)
	}
	return list
}

func oldestAge(oldest *admin.Oldest, now time.Time) time.Duration {
	if oldest == nil {
		return 0
	}
	return max(now.Sub(oldest.Published), 0)
}

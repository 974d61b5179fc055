// Package sim is a simulated logout API on a real listener, faithful to the contract of Authlete's /nativesso/logout, whose
// faults can be scripted. `revoker dev` and the tests use it.
package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the settings of a simulated API. The zero value accepts any token for any service.
type Options struct {
	// Addr is the address to listen on; a free loopback port if empty.
	Addr string
	// Token is the bearer token that calls must have, and Services the services it is good for. Empty ones are not checked.
	Token    string
	Services []string
	// Tokens is how many token records a session has for which none were issued.
	Tokens int
	// Latency and Jitter are how long an answer takes: latency, plus up to jitter.
	Latency time.Duration
	Jitter  time.Duration
	// Rule answers the calls for which nothing is scripted; attempt counts the calls for the session from 1. OK if nil.
	Rule func(sessionID string, attempt int) Answer
}

// Server is a running simulated API. It is safe for concurrent use.
type Server struct {
	options  Options
	listener net.Listener
	http     *http.Server
	ledger   *ledger
	served   chan struct{}
	calls    atomic.Int64
	capacity capacity

	mu      sync.Mutex
	token   string  // may be swapped
	outage  *Answer // answers every call while set
	cleared time.Time
}

var logoutPath = regexp.MustCompile(`^/api/([^/]+)/nativesso/logout$`)

// Start listens and serves. The caller ends it with Close.
func Start(options Options) (*Server, error) {
	if options.Addr == "" {
		options.Addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", options.Addr)
	if err != nil {
		return nil, fmt.Errorf("simulated API: %w", err)
	}
	s := &Server{options: options, listener: listener, ledger: newLedger(options.Tokens), served: make(chan struct{}), token: options.Token}
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.logout)
	s.routes(mux)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener)
	}()
	return s, nil
}

// URL is the base URL of the API.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Handler serves the API without a listener of its own, for tests that need TLS or HTTP/2.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Close ends the server and its connections.
func (s *Server) Close() {
	_ = s.http.Close()
	<-s.served
}

// Script sets the answers to the next calls for a session, one call each; after them the rule holds again.
func (s *Server) Script(sessionID string, answers ...Answer) { s.ledger.script(sessionID, answers) }

// Issue sets how many token records a session has.
func (s *Server) Issue(sessionID string, tokens int) { s.ledger.issue(sessionID, tokens) }

// Outage makes every call that the front does not refuse get this answer, for the duration d, or until Recover for 0. It
// ends the one before. One of kind OK takes no call its answer, but adds its delay.
func (s *Server) Outage(answer Answer, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage, s.cleared = &answer, time.Time{}
	if d > 0 {
		s.cleared = time.Now().Add(d)
	}
}

// Recover ends an outage.
func (s *Server) Recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = nil
}

// SetToken replaces the token that calls must have.
func (s *Server) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// Session tells what happened to a session so far.
func (s *Server) Session(id string) Session { return s.ledger.copyOf(id) }

// Sessions tells what happened to every session that was called, or issued tokens.
func (s *Server) Sessions() map[string]Session { return s.ledger.all() }

// Calls is how many requests the API got, refused ones and those without an answer included. It leaves out calls without a
// session ID, by which a worker only asks whether its token is accepted.
func (s *Server) Calls() int { return int(s.calls.Load()) }

// logout serves the API: what its front refuses, then the scripted, ruled or ordinary answer.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	service, id, refused := s.front(r)
	if refused != CallerError {
		s.calls.Add(1)
	}
	if refused != "" {
		s.write(w, r, Answer{Kind: refused}, 0)
		return
	}
	if !s.capacity.allows(w.Header()) {
		s.write(w, r, Answer{Kind: TooMany, RetryAfter: "1"}, 0)
		return
	}
	call := Call{Began: time.Now(), Service: service}
	answer := s.answer(id)
	if !s.work(r.Context(), answer.Delay) || answer.Kind == Hang {
		<-r.Context().Done()
		call.Kind, call.Ended = Hang, time.Now()
		s.ledger.end(id, call)
		panic(http.ErrAbortHandler)
	}
	call.Kind, call.Ended = answer.Kind, time.Now()
	s.write(w, r, answer, s.ledger.end(id, call))
}

// front checks what the real API's front checks before the logout API sees the call, in its order.
func (s *Server) front(r *http.Request) (service, sessionID string, refused Kind) {
	path := logoutPath.FindStringSubmatch(r.URL.EscapedPath()) // a service ID may hold an escaped slash
	s.mu.Lock()
	token := s.token
	s.mu.Unlock()
	if path != nil {
		service, _ = url.PathUnescape(path[1]) // EscapedPath gives valid escapes alone
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case path == nil:
		return "", "", NotFound
	case r.Method != http.MethodPost:
		return "", "", WrongMethod
	case token != "" && !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "):
		return "", "", Unauthorized
	case token != "" && r.Header.Get("Authorization") != "Bearer "+token:
		return "", "", WrongToken
	case len(s.options.Services) > 0 && !slices.Contains(s.options.Services, service):
		return "", "", NotFound
	case mediaType != "application/json":
		return "", "", WrongType
	}
	var body struct {
		SessionID string `json:"sessionId"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(&body); err != nil {
		return "", "", BadRequest
	}
	if body.SessionID == "" {
		return "", "", CallerError
	}
	return service, body.SessionID, ""
}

// answer chooses the answer to a call that reached the API.
func (s *Server) answer(id string) Answer {
	s.mu.Lock()
	if !s.cleared.IsZero() && time.Now().After(s.cleared) {
		s.outage = nil
	}
	outage := s.outage
	s.mu.Unlock()
	if outage != nil && outage.Kind != OK {
		return *outage
	}
	attempt, scripted := s.ledger.begin(id)
	answer := Answer{}
	switch {
	case scripted != nil:
		answer = *scripted
	case s.options.Rule != nil:
		answer = s.options.Rule(id, attempt)
	}
	if outage != nil {
		answer.Delay += outage.Delay
	}
	return answer
}

// work waits for a server and for the latency; it reports whether the client is still there.
func (s *Server) work(ctx context.Context, extra time.Duration) bool {
	leave := s.capacity.serve(ctx)
	if leave == nil {
		return false
	}
	defer leave()
	return s.pause(ctx, extra)
}

// pause waits for the latency; it reports whether the client is still there.
func (s *Server) pause(ctx context.Context, extra time.Duration) bool {
	d := s.options.Latency + extra
	if s.options.Jitter > 0 {
		d += rand.N(s.options.Jitter)
	}
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// write sends the answer; deleted is the count of an OK.
func (s *Server) write(w http.ResponseWriter, r *http.Request, answer Answer, deleted int) {
	kind := written[answer.Kind]
	switch answer.Kind {
	case OK:
		kind.status, kind.contentType = http.StatusOK, jsonType
		kind.body = fmt.Sprintf(`{"action":"OK","count":%d,"resultCode":"A503001","resultMessage":"[A503001] The /nativesso/logout API call successfully deleted %d access/refresh token record(s)."}`, deleted, deleted)
	case Cut:
		panic(http.ErrAbortHandler)
	case Raw:
		kind.status, kind.contentType, kind.body = http.StatusOK, answer.ContentType, answer.Body
	}
	if answer.Status != 0 {
		kind.status = answer.Status
	}
	header := w.Header()
	for name, value := range map[string]string{"Content-Type": kind.contentType, "Retry-After": answer.RetryAfter, "Location": answer.Location} {
		if value != "" {
			header.Set(name, value)
		}
	}
	switch answer.Kind {
	case CutBody:
		header.Set("Content-Length", "1000")
		w.WriteHeader(kind.status)
		_, _ = w.Write([]byte(kind.body))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case Endless:
		w.WriteHeader(kind.status)
		for chunk := slices.Repeat([]byte(" "), 4096); ; {
			if _, err := w.Write(chunk); err != nil || r.Context().Err() != nil {
				return
			}
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(kind.body)))
	w.WriteHeader(kind.status)
	_, _ = w.Write([]byte(kind.body))
}

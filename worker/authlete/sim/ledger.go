package sim

import (
	"sync"
	"time"
)

// Session is what the simulated API knows of one session.
type Session struct {
	// Tokens is the number of token records that the session still has.
	Tokens int
	// Calls are the logout calls for it, in the order of their answers.
	Calls []Call
	// RevokedAt is when its tokens were first deleted, if they were.
	RevokedAt time.Time
}

// Call is one answered logout call.
type Call struct {
	Began   time.Time
	Ended   time.Time
	Kind    Kind
	Service string
	Deleted int // token records
}

// Revoked reports whether the session has been logged out.
func (s Session) Revoked() bool { return !s.RevokedAt.IsZero() }

// ledger holds the sessions. It is safe for concurrent use.
type ledger struct {
	initial int // token records of a session that nobody issued any

	mu       sync.Mutex
	sessions map[string]*Session
	begun    map[string]int // calls that no outage answered
	scripts  map[string][]Answer
}

func newLedger(initial int) *ledger {
	return &ledger{initial: initial, sessions: map[string]*Session{}, begun: map[string]int{}, scripts: map[string][]Answer{}}
}

// session returns the entry of id, new if need be. The caller holds mu.
func (l *ledger) session(id string) *Session {
	s := l.sessions[id]
	if s == nil {
		s = &Session{Tokens: l.initial}
		l.sessions[id] = s
	}
	return s
}

func (l *ledger) issue(id string, tokens int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session(id).Tokens = tokens
}

// script sets the answers to the next calls for id.
func (l *ledger) script(id string, answers []Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scripts[id] = append(l.scripts[id], answers...)
}

// begin takes the scripted answer to a call for id, if there is one, and returns the call's number, from 1.
func (l *ledger) begin(id string) (attempt int, scripted *Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun[id]++
	if script := l.scripts[id]; len(script) > 0 {
		scripted, l.scripts[id] = &script[0], script[1:]
	}
	return l.begun[id], scripted
}

// end writes a call down, and for an OK deletes the session's tokens. It returns how many there were.
func (l *ledger) end(id string, call Call) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.session(id)
	if call.Kind == OK {
		call.Deleted, s.Tokens = s.Tokens, 0
		if s.RevokedAt.IsZero() {
			s.RevokedAt = call.Ended
		}
	}
	s.Calls = append(s.Calls, call)
	return call.Deleted
}

func (l *ledger) copyOf(id string) Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.sessions[id]
	if !ok {
		return Session{Tokens: l.initial}
	}
	c := *s
	c.Calls = append([]Call(nil), s.Calls...)
	return c
}

func (l *ledger) all() map[string]Session {
	l.mu.Lock()
	ids := make([]string, 0, len(l.sessions))
	for id := range l.sessions {
		ids = append(ids, id)
	}
	l.mu.Unlock()
	sessions := make(map[string]Session, len(ids))
	for _, id := range ids {
		sessions[id] = l.copyOf(id)
	}
	return sessions
}

package ops

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"revoker/events"
)

const (
	scanTimeout   = 10 * time.Second // of one scan
	exactTimeout  = 30 * time.Second // of one whose count an operator acts on
	scanLetters   = 20_000           // the newest that a scan reads
	exactLetters  = 1_000_000
	listFresh     = 2 * time.Second // for which a list is shown again without asking NATS
	listsKept     = 32
	visitorsMost  = 16 // scans that wait for those who are not signed in
	visitorsPause = time.Second
	// A scan for somebody who is not signed in begins no sooner after the last one than so many times what that took.
	visitorsShare = 4
)

var (
	errBusy   = errors.New("many lists of dead letters are being asked for; try again in a moment")
	errClosed = errors.New("the worker is stopping")
)

// scans read the dead letters for the console, which shares the worker's connection and its processor. So they go one after
// another, each bounded in letters and in time; whoever asks for the same shares its list; a list is read again only when
// letters came or went; and those who are not signed in get a part of the time and a place in a short queue.
type scans struct {
	ctx  context.Context // ends with the server
	open func(context.Context) (*events.LetterStore, error)
	read func(context.Context, *events.LetterStore, events.Selection) (letterList, error)

	lane     chan struct{} // held while a scan runs
	visitors chan struct{} // held by the visitor who is next

	mu      sync.Mutex
	running sync.WaitGroup // begun under mu
	closed  bool
	flights map[scanKey]*flight
	known   map[scanKey]knownList
	version int       // of the letters, as far as this worker changes them
	waiting int       // visitors
	next    time.Time // for a visitor's scan
}

// scanKey is the hash of what is asked for, which may have a session ID in it.
type scanKey [sha256.Size]byte

// flight is one scan for all who ask for its list while it goes on.
type flight struct {
	done chan struct{} // closed at its end
	list letterList
	err  error
}

type knownList struct {
	list  letterList
	state events.LetterState
	asked time.Time // when the state was last what it is
}

func newScans(ctx context.Context, open func(context.Context) (*events.LetterStore, error),
	read func(context.Context, *events.LetterStore, events.Selection) (letterList, error)) *scans {
	return &scans{
		ctx: ctx, open: open, read: read, lane: make(chan struct{}, 1), visitors: make(chan struct{}, 1),
		flights: map[scanKey]*flight{}, known: map[scanKey]knownList{},
	}
}

// list returns what the selection comes to. A visitor is somebody who is not signed in. exact is for a count that an operator
// acts on: it is never an old one.
func (s *scans) list(ctx context.Context, chosen selection, visitor, exact bool) (letterList, error) {
	text, err := json.Marshal(struct {
		Selection      selection
		Visitor, Exact bool // an operator does not wait for a visitor's turn
	}{chosen, visitor, exact})
	if err != nil {
		return letterList{}, err
	}
	key := sha256.Sum256(text)
	f, err := s.flight(key, chosen, visitor, exact)
	if err != nil {
		return letterList{}, err
	}
	select {
	case <-ctx.Done():
		return letterList{}, ctx.Err()
	case <-f.done:
		return f.list, f.err
	}
}

// flight returns the scan that goes on, one that is over already, or a new one.
func (s *scans) flight(key scanKey, chosen selection, visitor, exact bool) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if known, ok := s.known[key]; ok && !exact && time.Since(known.asked) < listFresh {
		f := &flight{done: make(chan struct{}), list: known.list}
		close(f.done)
		return f, nil
	}
	if f := s.flights[key]; f != nil {
		return f, nil
	}
	if visitor {
		if s.waiting >= visitorsMost {
			return nil, errBusy
		}
		s.waiting++
	}
	f := &flight{done: make(chan struct{})}
	s.flights[key] = f
	s.running.Go(func() {
		f.list, f.err = s.inTurn(key, chosen, visitor, exact)
		s.mu.Lock()
		defer s.mu.Unlock()
		if visitor {
			s.waiting--
		}
		if s.flights[key] == f {
			delete(s.flights, key)
		}
		close(f.done)
	})
	return f, nil
}

// inTurn scans when it is this scan's turn.
func (s *scans) inTurn(key scanKey, chosen selection, visitor, exact bool) (letterList, error) {
	if visitor {
		if err := s.await(s.visitors); err != nil {
			return letterList{}, err
		}
		defer func() { <-s.visitors }()
		if err := s.pause(); err != nil {
			return letterList{}, err
		}
	}
	if err := s.await(s.lane); err != nil {
		return letterList{}, err
	}
	defer func() { <-s.lane }()
	began := time.Now()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.next = time.Now().Add(max(visitorsPause, visitorsShare*time.Since(began)))
	}()
	return s.scan(key, chosen, exact)
}

func (s *scans) await(turn chan struct{}) error {
	select {
	case <-s.ctx.Done():
		return errClosed
	case turn <- struct{}{}:
		return nil
	}
}

// pause leaves the worker its time between two scans.
func (s *scans) pause() error {
	s.mu.Lock()
	next := s.next
	s.mu.Unlock()
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return errClosed
	case <-timer.C:
		return nil
	}
}

// scan reads the letters, unless none came or went since they were read.
func (s *scans) scan(key scanKey, chosen selection, exact bool) (letterList, error) {
	timeout, most := scanTimeout, uint64(scanLetters)
	if exact {
		timeout, most = exactTimeout, exactLetters
	}
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	store, err := s.open(ctx)
	if err != nil {
		return letterList{}, err
	}
	if err := chosen.on(store); err != nil {
		return letterList{}, err
	}
	state, now := store.State(), time.Now()
	s.mu.Lock()
	known, ok := s.known[key]
	version := s.version
	s.mu.Unlock()
	if !ok || known.state != state {
		if known.list, err = s.bounded(ctx, store, chosen, most); err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				err = fmt.Errorf("reading the dead letters took more than %s; revoker dlq has no such limit", timeout)
			}
			return letterList{}, err
		}
		known.state = state
	}
	known.asked = now
	s.keep(key, known, version)
	return known.list, nil
}

// bounded reads the newest letters alone, and of those no sequence beyond the state that was asked for.
func (s *scans) bounded(ctx context.Context, store *events.LetterStore, chosen selection, most uint64) (letterList, error) {
	state := store.State()
	if chosen.First = max(chosen.First, state.First); state.Messages > most && len(chosen.Sequences) == 0 {
		chosen.First = max(chosen.First, state.Last-most+1)
	}
	if chosen.Last == 0 || chosen.Last > state.Last {
		chosen.Last = state.Last
	}
	list, err := s.read(ctx, store, chosen.events())
	list.First, list.Last, list.Created = chosen.First, chosen.Last, state.Created
	list.Partial = chosen.First > state.First
	return list, err
}

// keep remembers a list, unless the letters were changed since the scan began. It forgets the oldest where there are too many.
func (s *scans) keep(key scanKey, list knownList, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version != s.version {
		return
	}
	s.known[key] = list
	if len(s.known) <= listsKept {
		return
	}
	oldest, since := key, list.asked
	for other, k := range s.known {
		if other != key && !k.asked.After(since) {
			oldest, since = other, k.asked
		}
	}
	delete(s.known, oldest)
}

// forget makes the next lists new ones: this worker itself changed the letters.
func (s *scans) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	clear(s.known)
	clear(s.flights) // they end for those who wait for them
}

// close waits for the scans, which end with the server.
func (s *scans) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
}

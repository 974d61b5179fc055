package console

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"revoker/events/dlq"
)

const (
	scanTimeout   = 10 * time.Second // for one scan
	exactTimeout  = 30 * time.Second // for a scan whose count an operator acts on
	scanLetters   = 20_000           // how many of the newest letters a scan reads
	exactLetters  = 1_000_000
	listFresh     = 2 * time.Second // how long a list is reused without asking NATS
	listGood      = 4 * time.Minute // how long it is reused if no letter came or went: it counts those of the last hour
	listsKept     = 32
	visitorsMost  = 16 // scans for visitors that may wait
	visitorsPause = time.Second
	// After a scan, visitors wait this many times its duration for the next.
	visitorsShare = 4
)

var (
	errBusy   = errors.New("too many lists of dead letters were requested; try again in a moment")
	errClosed = errors.New("the worker is stopping")
)

// scans reads the dead letters for the console, which shares the worker's connection and processor. To spare the worker, scans
// run one at a time, and each is bounded in letters and time. Requests for the same list share one scan. A list is read again only
// after letters came or went, or when it is old. Visitors (who are not signed in) get a share of the time and a place in a short queue.
type scans struct {
	ctx  context.Context // ends with the server
	open func(context.Context) (*dlq.LetterStore, error)
	read func(context.Context, *dlq.LetterStore, dlq.Selection) (letterList, error)
	most uint64 // of the newest letters that a scan reads, unless its count must be exact

	lane     chan struct{} // held while a scan runs
	visitors chan struct{} // held by the visitor whose scan is next

	mu      sync.Mutex
	running sync.WaitGroup // added to under mu
	closed  bool
	flights map[scanKey]*flight
	known   map[scanKey]knownList
	version int       // grows when this worker changes letters
	waiting int       // visitors' scans
	next    time.Time // when a visitor's scan may begin
}

// scanKey is the hash of a request, which may hold a session ID.
type scanKey [sha256.Size]byte

// flight is a running scan, shared by all who ask for its list meanwhile.
type flight struct {
	done chan struct{} // closed when the scan ends
	list letterList
	err  error
}

type knownList struct {
	list  letterList
	state dlq.LetterState
	asked time.Time // when the stream last had this state
	read  time.Time
}

func newScans(ctx context.Context, open func(context.Context) (*dlq.LetterStore, error),
	read func(context.Context, *dlq.LetterStore, dlq.Selection) (letterList, error)) *scans {
	return &scans{
		ctx: ctx, open: open, read: read, most: scanLetters, lane: make(chan struct{}, 1), visitors: make(chan struct{}, 1),
		flights: map[scanKey]*flight{}, known: map[scanKey]knownList{},
	}
}

// list returns the selected letters. visitor tells that the reader is not signed in. exact asks for a count that an operator may
// act on, so it is never a cached one.
func (s *scans) list(ctx context.Context, chosen selection, visitor, exact bool) (letterList, error) {
	text, err := json.Marshal(struct {
		Selection      selection
		Visitor, Exact bool // an operator must not wait for a visitor's scan
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

// flight returns a finished scan if its list is fresh, a running one, or a new one.
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

// inTurn waits for this scan's turn, then scans.
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

// pause waits until a visitor's scan may begin.
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

// scan reads the letters, or returns the known list if no letters came or went since.
func (s *scans) scan(key scanKey, chosen selection, exact bool) (letterList, error) {
	timeout, most := scanTimeout, s.most
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
	if !ok || known.state != state || now.Sub(known.read) >= listGood {
		if known.list, err = s.bounded(ctx, store, chosen, most); err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				err = fmt.Errorf("reading the dead letters took longer than %s; `revoker dlq` has no such limit", timeout)
			}
			return letterList{}, err
		}
		known.state, known.read = state, now
	}
	known.asked = now
	s.keep(key, known, version)
	return known.list, nil
}

// bounded reads only the newest letters, and none that arrived after the store was opened.
func (s *scans) bounded(ctx context.Context, store *dlq.LetterStore, chosen selection, most uint64) (letterList, error) {
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

// keep remembers a list, unless this worker changed letters since the scan began. If there are too many lists, it drops the
// oldest.
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

// forget drops all known lists, because this worker changed letters.
func (s *scans) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	clear(s.known)
	clear(s.flights) // those who wait for them still get their lists
}

// close waits for the running scans. They end with the server.
func (s *scans) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
}

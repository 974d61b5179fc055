package console

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"revoker/config"
	"revoker/events/admin"
	"revoker/events/peer"
	"revoker/worker/admission"
	"revoker/worker/ops/fleet"
	"revoker/worker/ops/history"
)

const (
	tickInterval = time.Second
	writeTimeout = 5 * time.Second // for one message to one reader
	maxReaders   = 50
	waitsShown   = 30 // events that wait for their retry, listed one by one
	// answerWait is how long the first message may wait for the other workers. A page that shows one worker, and a moment later all,
	// would jump.
	answerWait = 700 * time.Millisecond
	// maxZipped bounds the readers whose feed is compressed. Each takes most of a megabyte for it.
	maxZipped = 8
)

// state is the present state that the console page shows. The feed sends it once a second.
type state struct {
	Time        int64  `json:"t"` // Unix milliseconds
	Version     string `json:"version"`
	Stream      string `json:"stream"`
	Consumer    string `json:"consumer"`
	Concurrency int    `json:"concurrency"`
	// Lanes are those of the configuration. Fleet has those that are set up.
	Lanes []config.Lane `json:"lanes"`
	// Connected tells whether this worker is connected to NATS, and Working whether its consumer is set up.
	Connected bool        `json:"connected"`
	Working   bool        `json:"working"`
	Worker    *peer.State `json:"worker"`
	// Host is this worker's, as Name is in a peer.State.
	Host string `json:"host"`
	// Workers are those that answer or lately did, this one among them. WorkersProblem says why the others are not known.
	Workers        []fleet.Worker `json:"workers"`
	WorkersProblem string         `json:"workersProblem,omitempty"`
	// Times are the times to revoked of all workers together, as far as they tell: Told of them do.
	Times fleet.Times `json:"times"`
	Told  int         `json:"told"`
	// Fleet is the state of the queue and the dead letters. It is absent until the first reading.
	Fleet *admin.Status `json:"fleet"`
	Rates *admin.Rates  `json:"rates"`
	// Waits are the events that this worker handed back and that are due next, and WaitsKnown how many of them it could list.
	Waits      []waitRow `json:"waits"`
	WaitsKnown int       `json:"waitsKnown"`
	// FleetError says why it could not be read.
	FleetError string `json:"fleetError,omitempty"`
	// CanAct tells whether a console token is configured, and SignedIn whether this reader gave it.
	CanAct   bool   `json:"canAct"`
	SignedIn bool   `json:"signedIn"`
	Operator string `json:"operator,omitempty"`
}

// message is one event of the feed. The first one brings the last 15 minutes, and later ones what changed.
type message struct {
	State   state         `json:"state"`
	Points  []fleet.Point `json:"points"`
	Settled []settledRow  `json:"settled"`
}

// feed sends the state once a second, as server-sent events. With an outcome it sends only settlements of that kind.
func (c *Console) feed(w http.ResponseWriter, r *http.Request) {
	kind := history.Kind(r.URL.Query().Get("outcome"))
	if kind != "" && !history.KnownKind(kind) {
		answer(w, http.StatusBadRequest, failure{"No such outcome."})
		return
	}
	readers, ok := c.enter()
	if !ok {
		answer(w, http.StatusServiceUnavailable, failure{"Too many pages are open."})
		return
	}
	defer c.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // tells nginx not to buffer
	stream := newStream(w, readers <= maxZipped && takesGzip(r))
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	version, number := 0, 0
	if c.state(r); c.awaited(r.Context()) != nil {
		return
	}
	for {
		m := message{State: c.state(r), Settled: settledRows(c.history.Recent(number, kind))}
		m.Points, version = c.fleet.Points(version)
		if len(m.Settled) > 0 {
			number = m.Settled[0].Number
		}
		if stream.send(m) != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-c.closing:
			return
		case <-ticker.C:
		}
	}
}

// awaited waits for the other workers, if there is a connection on which they can answer.
func (c *Console) awaited(ctx context.Context) error {
	if conn, worker := c.parts(); conn != nil && conn.Connected() && worker != nil {
		c.fleet.Await(ctx, answerWait)
	}
	return ctx.Err()
}

// stream writes messages to one reader.
type stream struct {
	to      io.Writer
	zip     *gzip.Writer // nil if it is not compressed
	control *http.ResponseController
}

func newStream(w http.ResponseWriter, zipped bool) *stream {
	s := &stream{to: w, control: http.NewResponseController(w)}
	if zipped {
		w.Header().Set("Content-Encoding", "gzip")
		s.zip, _ = gzip.NewWriterLevel(w, gzip.BestSpeed) // there is such a level
		s.to = s.zip
	}
	return s
}

func (s *stream) send(m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := fmt.Fprintf(s.to, "data: %s\n\n", body); err != nil {
		return err
	}
	if s.zip != nil {
		if err := s.zip.Flush(); err != nil {
			return err
		}
	}
	return s.control.Flush()
}

// enter admits a reader, and tells how many there are.
func (c *Console) enter() (readers int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readers >= maxReaders {
		return c.readers, false
	}
	c.readers++
	return c.readers, true
}

func (c *Console) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readers--
}

func (c *Console) state(r *http.Request) state {
	conn, worker := c.parts()
	s := state{
		Time: time.Now().UnixMilli(), Version: c.self.Version, Stream: c.cfg.Stream, Consumer: c.cfg.Consumer, Concurrency: c.cfg.Concurrency, Lanes: c.cfg.Lanes(),
		Host: c.self.Name, Connected: conn != nil && conn.Connected(), Working: worker != nil, CanAct: c.gate.open(),
	}
	s.Operator, s.SignedIn = c.gate.who(r)
	stopped := false
	if worker != nil {
		own := c.history.Complete(worker.State())
		s.Worker, stopped = &own, own.Breaker != string(admission.Closed)
	}
	view := c.fleet.View(conn, s.Worker)
	s.Fleet, s.Rates, s.Workers, s.WorkersProblem, s.Times, s.Told = view.Status, view.Rates, view.Workers, view.Problem, view.Times, view.Told
	if view.Err != nil {
		s.FleetError = view.Err.Error()
	}
	next, known := c.history.Waits(waitsShown, stopped || s.Fleet != nil && s.Fleet.Paused)
	s.Waits, s.WaitsKnown = waitRows(next), known
	return s
}

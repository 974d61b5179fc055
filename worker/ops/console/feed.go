package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/worker/admission"
	"revoker/worker/ops/history"
)

const (
	tickInterval   = time.Second
	statusInterval = 2 * time.Second // between two readings from JetStream, while a page is open
	writeTimeout   = 5 * time.Second // for one message to one reader
	maxReaders     = 50
	waitsShown     = 30 // events that wait for their retry, listed one by one
)

// state is the present state that the console page shows. The feed sends it once a second.
type state struct {
	Time        int64  `json:"t"` // Unix milliseconds
	Version     string `json:"version"`
	Stream      string `json:"stream"`
	Consumer    string `json:"consumer"`
	Concurrency int    `json:"concurrency"`
	// Connected tells whether this worker is connected to NATS, and Working whether its consumer is set up.
	Connected bool                `json:"connected"`
	Working   bool                `json:"working"`
	Worker    *events.WorkerState `json:"worker"`
	// Host is this worker's, as Name is in a WorkerState.
	Host string `json:"host"`
	// Fleet is the state of all workers together, as JetStream and the workers know it. It is absent until the first reading.
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

// message is one event of the feed. The first one brings the last 15 minutes.
type message struct {
	State   state            `json:"state"`
	Seconds []history.Second `json:"seconds"`
	Settled []settledRow     `json:"settled"`
}

// fleet reads JetStream's state once for all readers, and only while a page is open.
type fleet struct {
	cfg     config.Config
	ctx     context.Context // ends with the server
	running sync.WaitGroup

	mu      sync.Mutex
	reader  *admin.StatusReader
	asking  bool
	asked   time.Time
	history admin.History
	status  *admin.Status
	rates   *admin.Rates
	err     error
}

// latest returns the last reading. If that is old, it starts another in the background.
func (f *fleet) latest(conn *events.Conn) (*admin.Status, *admin.Rates, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if conn == nil {
		return nil, nil, nil
	}
	if f.reader == nil {
		f.reader = admin.NewStatusReader(conn, f.cfg)
	}
	if !f.asking && time.Since(f.asked) >= statusInterval {
		f.asking = true
		f.running.Go(f.read)
	}
	return f.status, f.rates, f.err
}

// last returns the last reading, nil before the first.
func (f *fleet) last() *admin.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fleet) read() {
	status, err := f.reader.Read(f.ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking, f.asked, f.err = false, time.Now(), err
	if err == nil {
		f.history.Add(status)
		rates := f.history.Rates()
		f.status, f.rates = &status, &rates
	}
}

// feed sends the state once a second, as server-sent events.
func (c *Console) feed(w http.ResponseWriter, r *http.Request) {
	if !c.enter() {
		answer(w, http.StatusServiceUnavailable, failure{"Too many pages are open."})
		return
	}
	defer c.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // tells nginx not to buffer
	control := http.NewResponseController(w)
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	second, number := int64(0), 0
	for {
		m := message{State: c.state(r), Seconds: c.history.Since(second), Settled: settledRows(c.history.Recent(number))}
		if n := len(m.Seconds); n > 0 {
			second = m.Seconds[n-1].Time
		}
		if len(m.Settled) > 0 {
			number = m.Settled[0].Number
		}
		body, err := json.Marshal(m)
		if err != nil {
			return
		}
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := fmt.Fprintf(w, "data: %s\n\n", body); err != nil || control.Flush() != nil {
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

func (c *Console) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readers >= maxReaders {
		return false
	}
	c.readers++
	return true
}

func (c *Console) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readers--
}

func (c *Console) state(r *http.Request) state {
	conn, worker := c.parts()
	s := state{
		Time: time.Now().UnixMilli(), Version: c.version, Stream: c.cfg.Stream, Consumer: c.cfg.Consumer, Concurrency: c.cfg.Concurrency,
		Host: c.host, Connected: conn != nil && conn.Connected(), Working: worker != nil, CanAct: c.gate.open(),
	}
	s.Operator, s.SignedIn = c.gate.who(r)
	stopped := false
	if worker != nil {
		own := c.history.Complete(worker.State())
		s.Worker, stopped = &own, own.Breaker != string(admission.Closed)
	}
	var err error
	if s.Fleet, s.Rates, err = c.fleet.latest(conn); err != nil {
		s.FleetError = err.Error()
	}
	next, known := c.history.Waits(waitsShown, stopped || s.Fleet != nil && s.Fleet.Paused)
	s.Waits, s.WaitsKnown = waitRows(next), known
	return s
}

package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/config"
)

// WorkerState is what a worker says of itself when asked over NATS.
type WorkerState struct {
	// Name is the host's, Version the worker's.
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// InFlight is the number of API calls being made. InHand is the number of events that the worker holds, those among them.
	InFlight int `json:"inFlight"`
	InHand   int `json:"inHand"`
	// Breaker is the circuit breaker's state, and Reason why it is not closed.
	Breaker string `json:"breaker"`
	Reason  string `json:"reason,omitempty"`
	// Held are the services whose events are held back, because the API refuses them or asks for time.
	Held []HeldService `json:"held,omitempty"`
	// Braked tells that CALLER_ERROR for many sessions in a row holds the other events back.
	Braked bool `json:"braked,omitempty"`
	// Released answers a word to let them go on: they were held back until then.
	Released bool `json:"released,omitempty"`
}

// letGoRequest is the payload by which a worker is told to let the events go on that CALLER_ERROR holds back. A worker that does not know it just says how
// it is.
const letGoRequest = "let-go"

// HeldService is a service that events name, and why its events are held back.
type HeldService struct {
	Service string    `json:"service"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
}

const (
	answerSilence = 250 * time.Millisecond // after the last answer, nobody else is expected
	answerWait    = time.Second            // for the first one
	maxWorkers    = 1000                   // that are listened to
)

// workersSubject is where the workers of a consumer can be asked.
func workersSubject(cfg config.Config) string {
	return "revoker.workers." + cfg.Stream + "." + cfg.Consumer
}

// Answer lets `revoker status` ask this worker for its state, and `revoker resume` tell it to let go, where the account may
// subscribe to the subject and publish the answer. Where it may not, the worker just can't be asked: that is no fault, and is
// not logged as one.
func (c *Conn) Answer(cfg config.Config, state func() WorkerState, letGo func() (was bool)) {
	c.answers.begin(workersSubject(cfg))
	_, err := c.nc.Subscribe(workersSubject(cfg), func(msg *nats.Msg) {
		if !c.answers.to(msg) {
			return
		}
		released := string(msg.Data) == letGoRequest && letGo()
		now := state()
		now.Released = released
		if answer, err := json.Marshal(now); err == nil {
			_ = msg.Respond(answer)
		}
	})
	if err != nil {
		c.log.Debug("this worker can't be asked for its state", "error", err)
	}
}

// answers knows which permissions violations only mean that a worker can't be asked for its state.
type answers struct {
	mu      sync.Mutex
	subject string
	replies [8]string // the last ones
	count   int
	denied  bool // the account may not answer, so that it is not tried again
}

func (a *answers) begin(subject string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.subject = subject
}

// to notes that a request is about to be answered, unless the account may not.
func (a *answers) to(msg *nats.Msg) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replies[a.count%len(a.replies)] = msg.Reply
	a.count++
	return !a.denied
}

func (a *answers) concerns(err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, reply := range a.replies {
		if reply != "" && violates(err, reply) {
			a.denied = true
			return true
		}
	}
	return a.subject != "" && violates(err, a.subject)
}

// Workers asks the workers of the configured consumer for their state. There may be more than answer.
func (c *Conn) Workers(ctx context.Context, cfg config.Config) ([]WorkerState, error) {
	return c.askWorkers(ctx, cfg, "")
}

// LetGo tells the workers to let the events go on that CALLER_ERROR for many sessions in a row holds back, and returns how many
// workers held some.
func (c *Conn) LetGo(ctx context.Context, cfg config.Config) (released int, err error) {
	workers, err := c.askWorkers(ctx, cfg, letGoRequest)
	for _, worker := range workers {
		if worker.Released {
			released++
		}
	}
	return released, err
}

func (c *Conn) askWorkers(ctx context.Context, cfg config.Config, what string) ([]WorkerState, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request := &nats.Msg{Subject: workersSubject(cfg), Reply: c.nc.NewInbox(), Data: []byte(what)}
	sub, err := c.nc.SubscribeSync(request.Reply)
	if err != nil {
		return []WorkerState{}, fmt.Errorf("subscribing for the workers' answers: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.send(ctx, request); err != nil {
		return []WorkerState{}, fmt.Errorf("asking the workers: %w", err)
	}
	workers := []WorkerState{}
	wait := answerWait
	for len(workers) < maxWorkers {
		msg, err := sub.NextMsg(wait)
		if errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) {
			break
		}
		if err != nil {
			return workers, fmt.Errorf("awaiting the workers' answers: %w", err)
		}
		var state WorkerState
		if json.Unmarshal(msg.Data, &state) == nil && state.Breaker != "" {
			state.clean()
			workers = append(workers, state)
			wait = answerSilence
		}
	}
	return workers, nil
}

// clean makes what came from the network fit for a terminal.
func (s *WorkerState) clean() {
	for _, text := range []*string{&s.Name, &s.Version, &s.Breaker, &s.Reason} {
		*text = OneLine(*text)
	}
	for i := range s.Held {
		s.Held[i].Service, s.Held[i].Reason = OneLine(s.Held[i].Service), OneLine(s.Held[i].Reason)
	}
}

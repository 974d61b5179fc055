package events

import (
	"context"
	"errors"
	"sync"
	"time"

	"revoker/config"
)

// Status is how far the fleet is with its events.
type Status struct {
	Time     time.Time `json:"time"`
	Stream   string    `json:"stream"`
	Consumer string    `json:"consumer"`
	// Backlog is the number of events that were never delivered.
	Backlog int `json:"backlog"`
	// Unsettled is the number of events that were delivered and not settled. JetStream does not tell those that a worker
	// holds from those that wait for their retry; only where every worker answered are the two known.
	Unsettled int  `json:"unsettled"`
	InFlight  *int `json:"inFlight,omitempty"`
	Retrying  *int `json:"waitingForRetry,omitempty"`
	// Redelivered is how many of the unsettled were delivered more than once.
	Redelivered   int `json:"redelivered"`
	MaxAckPending int `json:"maxAckPending"`
	// Oldest is the oldest event that is not settled, nil if there is none or it is not known.
	Oldest *Oldest `json:"oldest,omitempty"`
	// MaxAge is the age at which the stream drops events, in seconds; 0 for never.
	MaxAge int  `json:"maxAgeSeconds"`
	Paused bool `json:"paused"`
	// PausedUntil is when the pause ends, nil for not before it is resumed.
	PausedUntil *time.Time `json:"pausedUntil,omitempty"`
	// OpenPulls is how many workers wait for events right now.
	OpenPulls int `json:"openPulls"`
	// Workers are those that answered; there may be more.
	Workers     []WorkerState    `json:"workers"`
	DeadLetters *DeadLetterCount `json:"deadLetters,omitempty"`
	// LastSequence is the stream's. It counts what is published, if the stream has no other subjects (Alone).
	LastSequence uint64 `json:"lastSequence"`
	Alone        bool   `json:"-"`
	// Unknown says what could not be found out, and why.
	Unknown []string `json:"unknown,omitempty"`
}

// Oldest is an event's place and age.
type Oldest struct {
	Sequence  uint64    `json:"sequence"`
	Published time.Time `json:"published"`
	Age       int       `json:"ageSeconds"`
}

// Left is how many events are not settled.
func (s Status) Left() int { return s.Backlog + s.Unsettled }

// StatusReader reads the status again and again. It is for one goroutine.
type StatusReader struct {
	conn    *Conn
	cfg     config.Config
	letters letterTally
	denied  error // why the oldest event may not be read, which is then not tried again
}

// NewStatusReader returns one for the configured stream and consumer.
func NewStatusReader(conn *Conn, cfg config.Config) *StatusReader {
	return &StatusReader{conn: conn, cfg: cfg}
}

// Read asks for the state of streams, consumer and workers. What the account may not read is left out and named in Unknown;
// without the consumer's state there is an error.
func (r *StatusReader) Read(ctx context.Context) (Status, error) {
	if !r.conn.Connected() {
		return Status{}, errors.New("not connected to NATS")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	s := Status{Time: time.Now(), Stream: r.cfg.Stream, Consumer: r.cfg.Consumer}
	var asking sync.WaitGroup
	var workers []WorkerState
	var refused error
	asking.Go(func() { workers, refused = r.conn.Workers(ctx, r.cfg) })
	err := r.read(ctx, &s)
	var lettersErr error
	if err == nil {
		s.DeadLetters, lettersErr = r.letters.read(ctx, r.conn, r.cfg)
	}
	asking.Wait()
	if err != nil {
		return Status{}, err
	}
	s.unknown("dead letters", lettersErr)
	s.Workers = workers
	if refused != nil {
		s.Unknown = append(s.Unknown, refused.Error())
	}
	s.split()
	return s, nil
}

func (r *StatusReader) read(ctx context.Context, s *Status) error {
	stream, err := r.conn.js.Stream(ctx, r.cfg.Stream)
	if err != nil {
		return r.conn.explainMissing("looking up stream "+r.cfg.Stream, "STREAM.INFO."+r.cfg.Stream, err)
	}
	info := stream.CachedInfo()
	s.MaxAge = int(info.Config.MaxAge.Seconds())
	s.LastSequence = info.State.LastSeq
	s.Alone = len(info.Config.Subjects) == 1 && info.Config.Subjects[0] == r.cfg.Subject
	consumer, err := stream.Consumer(ctx, r.cfg.Consumer)
	if err != nil {
		return r.conn.explainMissing("looking up consumer "+r.cfg.Consumer, "CONSUMER.INFO."+r.cfg.Stream+"."+r.cfg.Consumer, err)
	}
	state := consumer.CachedInfo()
	s.Backlog, s.Unsettled, s.Redelivered = int(state.NumPending), state.NumAckPending, state.NumRedelivered
	s.MaxAckPending, s.OpenPulls, s.Paused = state.Config.MaxAckPending, state.NumWaiting, state.Paused
	if s.Paused && state.Config.PauseUntil != nil {
		if until := pauseEnd(*state.Config.PauseUntil); !until.IsZero() {
			s.PausedUntil = &until
		}
	}
	if s.Left() > 0 {
		if err = r.denied; err == nil {
			s.Oldest, err = r.oldest(ctx, state.AckFloor.Stream+1, s.Time)
		}
		if errors.Is(err, errDenied) {
			r.denied = err
		}
		s.unknown("the oldest event", err)
	}
	return nil
}

// oldest finds the first event that is stored at or after the sequence: all before the ack floor are settled.
func (r *StatusReader) oldest(ctx context.Context, sequence uint64, now time.Time) (*Oldest, error) {
	found, err := r.conn.peek(ctx, r.cfg.Stream, map[string]any{"seq": sequence, "next_by_subj": r.cfg.Subject})
	switch {
	case errors.Is(err, ErrNoEvent): // settled in the meantime
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &Oldest{Sequence: found.Sequence, Published: found.Published, Age: int(max(now.Sub(found.Published), 0).Seconds())}, nil
}

// split tells what workers hold from what waits for its retry, where at least as many answered as wait for events.
func (s *Status) split() {
	if s.Unsettled > 0 && (len(s.Workers) == 0 || len(s.Workers) < s.OpenPulls) {
		return
	}
	held := 0
	for _, w := range s.Workers {
		held += w.InHand
	}
	held = min(held, s.Unsettled) // they were not asked in the same instant
	waiting := s.Unsettled - held
	s.InFlight, s.Retrying = &held, &waiting
}

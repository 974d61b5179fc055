package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/conn"
	"revoker/events/peer"
)

// oldestTimeout is for the look at the oldest event.
const oldestTimeout = 2 * time.Second

// Status is how far the workers are with the events. Its counts are those of all lanes together.
type Status struct {
	Time     time.Time `json:"time"`
	Stream   string    `json:"stream"`
	Consumer string    `json:"consumer"`
	// Lanes has one or both, the live one first.
	Lanes []LaneStatus `json:"lanes"`
	// Backlog is the number of events that were never delivered.
	Backlog int `json:"backlog"`
	// Unsettled is the number of events that were delivered and not settled. JetStream does not tell those that a worker holds
	// from those that wait for their retry. InFlight and Retrying are known only if every worker answered. What is left of
	// Unsettled is being acknowledged.
	Unsettled int  `json:"unsettled"`
	InFlight  *int `json:"inFlight,omitempty"`
	Retrying  *int `json:"waitingForRetry,omitempty"`
	// Redelivered is how many of the unsettled were delivered more than once.
	Redelivered int `json:"redelivered"`
	// MaxAckPending is that of the live lane.
	MaxAckPending int `json:"maxAckPending"`
	// Oldest is the oldest event that is not settled; nil if there is none or it is not known.
	Oldest *Oldest `json:"oldest,omitempty"`
	// MaxAge is the age at which the stream drops events, in seconds; 0 for never.
	MaxAge int `json:"maxAgeSeconds"`
	// Paused tells that every lane is.
	Paused bool `json:"paused"`
	// PausedUntil is when the first pause ends; nil for a pause that lasts until it is resumed.
	PausedUntil *time.Time `json:"pausedUntil,omitempty"`
	// OpenPulls is how many workers wait for events right now.
	OpenPulls int `json:"openPulls"`
	// Workers are those that answered; there may be more.
	Workers     []peer.State     `json:"workers"`
	DeadLetters *DeadLetterCount `json:"deadLetters,omitempty"`
	// LastSequence is the stream's. If the stream has no other subjects (Alone), it counts what is published.
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
	conn    *events.Conn
	cfg     config.Config
	letters reasonCounter
	// Why the account may not read the oldest event, or the bulk lane's state; it is not tried again.
	denied, bulkDenied error
}

// NewStatusReader returns one for the configured stream and consumer.
func NewStatusReader(c *events.Conn, cfg config.Config) *StatusReader {
	return &StatusReader{conn: c, cfg: cfg}
}

// Read asks for the state of streams, consumer and workers. What the account may not read is left out and named in Unknown.
// Without the consumer's state there is an error.
func (r *StatusReader) Read(ctx context.Context) (Status, error) {
	return r.ReadWith(ctx, func(ctx context.Context) ([]peer.State, error) { return Workers(ctx, r.conn, r.cfg) })
}

// ReadWith is Read for who asks the workers in another way.
func (r *StatusReader) ReadWith(ctx context.Context, ask func(context.Context) ([]peer.State, error)) (Status, error) {
	if !r.conn.Connected() {
		return Status{}, errors.New("not connected to NATS")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*conn.RequestTimeout)
	defer cancel()
	s := Status{Time: time.Now(), Stream: r.cfg.Stream, Consumer: r.cfg.Consumer}
	var asking sync.WaitGroup
	var workers []peer.State
	var refused error
	asking.Go(func() { workers, refused = ask(ctx) })
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

// ReadQueue reads what a worker watches every few seconds for as long as it runs. It does not ask the other workers, and reads
// only the number of the dead letters. It makes three to six requests.
func (r *StatusReader) ReadQueue(ctx context.Context) (Status, error) {
	if !r.conn.Connected() {
		return Status{}, errors.New("not connected to NATS")
	}
	s := Status{Time: time.Now(), Stream: r.cfg.Stream, Consumer: r.cfg.Consumer}
	if err := r.read(ctx, &s); err != nil {
		return Status{}, err
	}
	letters, err := r.conn.LookUp(ctx, r.cfg.DeadLetterStream, deadLetterVariable)
	if err != nil {
		s.unknown("dead letters", err)
		return s, nil
	}
	state := letters.CachedInfo().State
	s.DeadLetters = &DeadLetterCount{Total: int(state.Msgs), Oldest: oldestOf(state)}
	return s, nil
}

func (r *StatusReader) read(ctx context.Context, s *Status) error {
	stream, err := r.conn.JetStream().Stream(ctx, r.cfg.Stream)
	if err != nil {
		return r.conn.ExplainMissing("looking up stream "+r.cfg.Stream, "STREAM.INFO."+r.cfg.Stream, err)
	}
	info := stream.CachedInfo()
	s.MaxAge = int(info.Config.MaxAge.Seconds())
	s.LastSequence = info.State.LastSeq
	consumer, err := stream.Consumer(ctx, r.cfg.Consumer)
	if err != nil {
		return r.conn.ExplainMissing("looking up consumer "+r.cfg.Consumer, "CONSUMER.INFO."+r.cfg.Stream+"."+r.cfg.Consumer, err)
	}
	s.Alone = true
	for _, subject := range info.Config.Subjects {
		s.Alone = s.Alone && (subject == r.cfg.Subject || subject == r.cfg.BulkSubject)
	}
	s.Lanes = []LaneStatus{r.lane(ctx, s, config.Live, consumer.CachedInfo())}
	if len(r.cfg.Lanes()) > 1 {
		if err = r.bulkDenied; err == nil {
			var bulk *jetstream.ConsumerInfo
			if bulk, err = bulkConsumer(ctx, r.conn, r.cfg); bulk != nil {
				s.Lanes = append(s.Lanes, r.lane(ctx, s, config.Bulk, bulk))
			}
		}
		if errors.Is(err, conn.ErrDenied) {
			r.bulkDenied = err
		}
		s.unknown("the bulk lane", err)
	}
	s.total()
	return nil
}

// lane is the state of a lane.
func (r *StatusReader) lane(ctx context.Context, s *Status, lane config.Lane, state *jetstream.ConsumerInfo) LaneStatus {
	own := r.cfg.In(lane)
	l := LaneStatus{
		Lane: lane, Subject: own.Subject, Consumer: own.Consumer,
		Backlog: int(state.NumPending), Unsettled: state.NumAckPending, Redelivered: state.NumRedelivered,
		MaxAckPending: state.Config.MaxAckPending, OpenPulls: state.NumWaiting, Paused: state.Paused,
	}
	if l.Paused && state.Config.PauseUntil != nil {
		if until := pauseEnd(*state.Config.PauseUntil); !until.IsZero() {
			l.PausedUntil = &until
		}
	}
	if l.Left() == 0 {
		return l
	}
	err := r.denied
	if err == nil {
		l.Oldest, err = r.oldest(ctx, own.Subject, state.AckFloor.Stream+1, s.Time)
	}
	if errors.Is(err, conn.ErrDenied) {
		r.denied = err
	}
	s.unknown("the oldest event", err)
	return l
}

// oldest finds the first event on the subject that is stored at or after the sequence. All before the ack floor are settled.
func (r *StatusReader) oldest(ctx context.Context, subject string, sequence uint64, now time.Time) (*Oldest, error) {
	ctx, cancel := context.WithTimeout(ctx, oldestTimeout)
	defer cancel()
	found, err := r.conn.Message(ctx, r.cfg.Stream, conn.Place{Sequence: sequence, NextOn: subject})
	switch {
	case errors.Is(err, events.ErrNoEvent): // settled in the meantime
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &Oldest{Sequence: found.Sequence, Published: found.Published, Age: int(max(now.Sub(found.Published), 0).Seconds())}, nil
}

// unknown notes once why something is not known. A nil error notes nothing.
func (s *Status) unknown(what string, err error) {
	if err == nil {
		return
	}
	if text := fmt.Sprintf("%s: %v", what, err); !slices.Contains(s.Unknown, text) {
		s.Unknown = append(s.Unknown, text)
	}
}

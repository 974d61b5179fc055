package admin

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/conn"
)

// bulkConsumer is the state of the bulk lane's consumer, nil if there is none. An account from before there was such a lane may not
// ask for it. That is an error only where the stream stores the lane's events.
func bulkConsumer(ctx context.Context, c *events.Conn, cfg config.Config) (*jetstream.ConsumerInfo, error) {
	bulk := cfg.In(config.Bulk)
	c.IgnoreSubjects(c.API("CONSUMER.INFO." + bulk.Stream + "." + bulk.Consumer)) // it is in the error
	info, err := c.AskConsumer(ctx, bulk.Stream, bulk.Consumer)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, nil
	case errors.Is(err, conn.ErrDenied) && !storesBulk(ctx, c, cfg):
		return nil, nil
	}
	return info, err
}

// storesBulk reports whether the event stream stores the bulk lane's subject, as far as the account may know.
func storesBulk(ctx context.Context, c *events.Conn, cfg config.Config) bool {
	stream, err := c.JetStream().Stream(ctx, cfg.Stream)
	return err == nil && events.Stores(stream.CachedInfo().Config, cfg.BulkSubject)
}

// of says which lane a finding is about, unless it is the live one.
func of(lane config.Lane) string {
	if lane == config.Bulk {
		return ", bulk lane"
	}
	return ""
}

// checkBulkLane looks whether the account may see the bulk lane's consumer. Where it may not, the rest of the check is as for one
// lane, as a worker with this account works.
func (c *check) checkBulkLane(ctx context.Context) {
	if len(c.cfg.Lanes()) < 2 {
		return
	}
	bulk := c.cfg.In(config.Bulk)
	request := "CONSUMER.INFO." + bulk.Stream + "." + bulk.Consumer
	c.conn.IgnoreSubjects(c.conn.API(request))
	if _, err := c.conn.AskConsumer(ctx, bulk.Stream, bulk.Consumer); !errors.Is(err, conn.ErrDenied) {
		return // what else is wrong is found later
	}
	f := Finding{Name: "permission to see the bulk lane", State: Warning, Detail: "the account may not look up consumer " + bulk.Consumer,
		Remedy: "allow it to publish to " + c.conn.API(request) + " and what else the bulk lane needs, and run `revoker setup`; an empty REVOKER_BULK_SUBJECT leaves one lane"}
	if storesBulk(ctx, c.conn, c.cfg) {
		f.State, f.Detail = Failed, f.Detail+", although the stream stores "+bulk.Subject
	}
	c.Findings = append(c.Findings, f)
	c.cfg.BulkSubject = ""
}

// LaneStatus is how far the workers are with the events of a lane.
type LaneStatus struct {
	Lane     config.Lane `json:"lane"`
	Subject  string      `json:"subject"`
	Consumer string      `json:"consumer"`
	// Backlog is the number of events that were never delivered.
	Backlog int `json:"backlog"`
	// Unsettled is the number of events that are in work or wait for their retry; Redelivered, how many of them were delivered more
	// than once.
	Unsettled     int `json:"unsettled"`
	Redelivered   int `json:"redelivered"`
	MaxAckPending int `json:"maxAckPending"`
	// Oldest is the oldest event that is not settled; nil if there is none or it is not known.
	Oldest      *Oldest    `json:"oldest,omitempty"`
	Paused      bool       `json:"paused"`
	PausedUntil *time.Time `json:"pausedUntil,omitempty"` // nil for a pause that lasts until it is resumed
	OpenPulls   int        `json:"openPulls"`
}

// Left is how many events are not settled.
func (l LaneStatus) Left() int { return l.Backlog + l.Unsettled }

// total fills in what the lanes are together.
func (s *Status) total() {
	s.MaxAckPending, s.Paused = s.Lanes[0].MaxAckPending, true
	for _, l := range s.Lanes {
		s.Backlog += l.Backlog
		s.Unsettled += l.Unsettled
		s.Redelivered += l.Redelivered
		s.OpenPulls = max(s.OpenPulls, l.OpenPulls) // each worker has one in each lane
		s.Paused = s.Paused && l.Paused
		if l.Oldest != nil && (s.Oldest == nil || l.Oldest.Published.Before(s.Oldest.Published)) {
			s.Oldest = l.Oldest
		}
		if l.PausedUntil != nil && (s.PausedUntil == nil || l.PausedUntil.Before(*s.PausedUntil)) {
			s.PausedUntil = l.PausedUntil
		}
	}
	if !s.Paused {
		s.PausedUntil = nil
	}
}

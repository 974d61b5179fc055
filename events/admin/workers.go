package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/conn"
	"revoker/events/peer"
)

const (
	answerSilence = 250 * time.Millisecond // after the last answer, nobody else is expected
	answerWait    = time.Second            // for the first one
	maxWorkers    = 1000                   // that are listened to
)

// Workers asks the workers of the configured consumer for their state. Not all of them may answer.
func Workers(ctx context.Context, c *events.Conn, cfg config.Config) ([]peer.State, error) {
	return askWorkers(ctx, c, cfg, "")
}

// WorkersWithHistory asks the workers also for what they did in the last seconds. Older workers tell only their state.
func WorkersWithHistory(ctx context.Context, c *events.Conn, cfg config.Config, seconds int) ([]peer.State, error) {
	return askWorkers(ctx, c, cfg, peer.HistoryOf(seconds))
}

// LetGo tells the workers to let the events go on that CALLER_ERROR for many sessions in a row holds back. It returns how many
// workers held some.
func LetGo(ctx context.Context, c *events.Conn, cfg config.Config) (released int, err error) {
	workers, err := askWorkers(ctx, c, cfg, peer.LetGo)
	for _, worker := range workers {
		if worker.Released {
			released++
		}
	}
	return released, err
}

// NextAttempt asks the workers about an event that was delivered. It is nil if none of them handed it back, or if the one that did
// is gone.
func NextAttempt(ctx context.Context, c *events.Conn, cfg config.Config, sequence uint64, session events.SessionID) (*peer.NextAttempt, error) {
	workers, err := askWorkers(ctx, c, cfg, peer.About(sequence, session.Mask()))
	var latest *peer.NextAttempt
	for _, worker := range workers {
		if e := worker.Event; e != nil && (latest == nil || e.Due.After(latest.Due)) {
			latest = e
		}
	}
	return latest, err
}

func askWorkers(ctx context.Context, c *events.Conn, cfg config.Config, request string) ([]peer.State, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.RequestTimeout)
	defer cancel()
	question := &nats.Msg{Subject: peer.Subject(cfg), Reply: c.NC().NewInbox(), Data: []byte(request)}
	sub, err := c.NC().SubscribeSync(question.Reply)
	if err != nil {
		return []peer.State{}, fmt.Errorf("subscribing for the workers' answers: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.Send(ctx, question); err != nil {
		return []peer.State{}, fmt.Errorf("asking the workers: %w", err)
	}
	workers := []peer.State{}
	wait := answerWait
	for len(workers) < maxWorkers {
		msg, err := sub.NextMsg(wait)
		if errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) {
			break
		}
		if err != nil {
			return workers, fmt.Errorf("awaiting the workers' answers: %w", err)
		}
		var state peer.State
		if json.Unmarshal(msg.Data, &state) == nil && state.Breaker != "" {
			clean(&state)
			workers = append(workers, state)
			wait = answerSilence
		}
	}
	return workers, nil
}

// clean makes text from the network fit for a terminal.
func clean(s *peer.State) {
	for _, text := range []*string{&s.Instance, &s.Name, &s.Version, &s.Breaker, &s.Reason, &s.LimitedBy} {
		*text = events.OneLine(*text)
	}
	if s.Event != nil {
		s.Event.ResultCode = events.OneLine(s.Event.ResultCode)
	}
	for i := range s.Held {
		s.Held[i].Service, s.Held[i].Reason = events.OneLine(s.Held[i].Service), events.OneLine(s.Held[i].Reason)
	}
}

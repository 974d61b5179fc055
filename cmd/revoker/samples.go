package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"revoker/events"
	"revoker/worker/authlete/sim"
)

const (
	maxSampleRate = 1000

	// Of a simulated API: how long it takes, and up to as much again, and the tokens of a session that is not a sample.
	sampleLatency = 5 * time.Millisecond
	sampleTokens  = 2
)

func checkRate(rate float64) error {
	if rate < 0 || rate > maxSampleRate {
		return errors.New("--rate: must be from 0 to 1000")
	}
	return nil
}

// publishSamples publishes so many sample events a second until ctx is done: most are revoked at once, some after failures,
// and some end as dead letters.
func publishSamples(ctx context.Context, publisher *events.Publisher, api *sim.Server, rate float64, log *slog.Logger) {
	if rate == 0 {
		<-ctx.Done()
		return
	}
	ticker := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := publishSample(ctx, publisher, api, i); err != nil && ctx.Err() == nil {
			log.Warn("a sample event was not published", "error", err)
		}
	}
}

func publishSample(ctx context.Context, publisher *events.Publisher, api *sim.Server, i int) error {
	event := events.Event{SessionID: events.SessionID("sample-" + rand.Text()), EndedAt: time.Now(), Reason: "sample"}
	api.Issue(string(event.SessionID), 1+i%4)
	switch i % 8 {
	case 2:
		api.Script(string(event.SessionID), sim.Answer{Kind: sim.ServerError}, sim.Answer{Kind: sim.ServerError})
	case 4:
		api.Script(string(event.SessionID), sim.Answer{Kind: sim.CallerError})
	case 6:
		return publisher.PublishRaw(ctx, []byte(`{"user":"an event without a sessionId"}`))
	}
	_, err := publisher.Publish(ctx, event)
	return err
}

package events

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ReadQueue reads the status as a worker watches it, every few seconds for as long as it runs: nobody else is asked, and of
// the dead letters only the number is read. It asks the server three or four times.
func (r *StatusReader) ReadQueue(ctx context.Context) (Status, error) {
	if !r.conn.Connected() {
		return Status{}, errors.New("not connected to NATS")
	}
	s := Status{Time: time.Now(), Stream: r.cfg.Stream, Consumer: r.cfg.Consumer}
	if err := r.read(ctx, &s); err != nil {
		return Status{}, err
	}
	letters, err := r.conn.js.Stream(ctx, r.cfg.DeadLetterStream)
	if err != nil {
		s.unknown("dead letters", r.conn.explainMissing("looking up stream "+r.cfg.DeadLetterStream, "STREAM.INFO."+r.cfg.DeadLetterStream, err))
		return s, nil
	}
	s.DeadLetters = &DeadLetterCount{Total: int(letters.CachedInfo().State.Msgs)}
	return s, nil
}

// unknown notes why something is not known; nil notes nothing.
func (s *Status) unknown(what string, err error) {
	if err != nil {
		s.Unknown = append(s.Unknown, fmt.Sprintf("%s: %v", what, err))
	}
}

package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/events/dlq"
)

const (
	actTimeout = 10 * time.Second // for an action, or for the beginning of a sweep
	// actAnswer is when the answer is given up. A connection that is being made anew holds requests up beyond actTimeout.
	actAnswer     = 2 * actTimeout
	progressEvery = 500 * time.Millisecond
	maxPause      = 30 * 24 * time.Hour
)

// sweepRequest asks to replay or discard dead letters.
type sweepRequest struct {
	Action    string    `json:"action"` // replay or discard
	Selection selection `json:"selection"`
	All       bool      `json:"all"` // must be set where the selection chooses every letter
}

// sweepProgress is one line of the answer: how far the sweep is. The last line has Over set.
type sweepProgress struct {
	Over    bool           `json:"over"`
	Done    int            `json:"done"`
	Gone    int            `json:"gone"`    // deleted by somebody else first
	Refused map[string]int `json:"refused"` // by reason
	Error   string         `json:"error,omitempty"`
}

// sweep replays or discards the chosen letters. It writes its progress as lines of JSON. It ends with the request, so closing
// the page stops it. What is done by then stays done.
func (c *Console) sweep(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	var request sweepRequest
	if !decode(w, r, &request) {
		return
	}
	if err := request.check(); err != nil {
		answer(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	chosen := request.Selection.events()
	ctx, cancel := context.WithTimeout(r.Context(), actTimeout)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(actAnswer))
	store, do, err := c.begin(ctx, request, log)
	cancel()
	if err != nil {
		answer(w, statusOf(err), failure{err.Error()})
		return
	}
	log = log.With("action", request.Action, "reason", request.Selection.Reason, "result_code", request.Selection.ResultCode, "sequences", len(request.Selection.Sequences))
	log.Info("an operator acts on dead letters")
	w.Header().Set("Content-Type", "application/x-ndjson")
	progress := sweepProgress{Refused: map[string]int{}}
	written := time.Now()
	err = dlq.Sweep(r.Context(), store.All(r.Context(), chosen, nil), 0, do, func(_ dlq.StoredLetter, err error) {
		progress.count(err)
		if now := time.Now(); now.Sub(written) >= progressEvery {
			written = now
			writeProgress(w, progress)
		}
	})
	if progress.Over = true; err != nil && progress.Error == "" {
		progress.Error = err.Error()
	}
	c.scans.forget() // before the page hears of the end and asks for the list
	writeProgress(w, progress)
	log.Info("an operator acted on dead letters", "done", progress.Done, "gone", progress.Gone, "refused", len(progress.Refused), "error", progress.Error)
}

// check refuses a request that would do more than the operator confirmed.
func (s sweepRequest) check() error {
	if err := s.Selection.check(); err != nil {
		return err
	}
	filter := s.Selection
	filter.First, filter.Last = 0, 0
	switch {
	case s.Action != "replay" && s.Action != "discard":
		return errors.New("no such action")
	case s.Selection.Created.IsZero() || len(s.Selection.Sequences) == 0 && s.Selection.Last == 0:
		return errors.New("count the dead letters first")
	case filter.events().IsZero() && !s.All:
		return errors.New("choose dead letters first")
	}
	return nil
}

// begin opens the store in which the letters were counted, and returns what the request asks to do to each of them.
func (c *Console) begin(ctx context.Context, request sweepRequest, log *slog.Logger) (*dlq.LetterStore, func(context.Context, dlq.StoredLetter) error, error) {
	store, err := c.store(ctx)
	if err == nil {
		err = request.Selection.on(store)
	}
	if err != nil {
		return nil, nil, err
	}
	if request.Action == "discard" {
		return store, store.Delete, nil
	}
	lane, err := c.replayLane(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	replayer, err := store.Replayer(ctx, lane)
	if err != nil {
		return nil, nil, err
	}
	return store, func(ctx context.Context, l dlq.StoredLetter) error {
		_, err := replayer.Replay(ctx, l)
		return err
	}, nil
}

// replayLane is the bulk lane, or the live one while there is none.
func (c *Console) replayLane(ctx context.Context, log *slog.Logger) (config.Lane, error) {
	conn, _ := c.parts()
	err := events.FindLane(ctx, conn, c.cfg, config.Bulk, 0)
	switch {
	case errors.Is(err, events.ErrNoLane):
		log.Info("replaying to the live lane", "reason", err)
		return config.Live, nil
	case err != nil:
		return "", err
	}
	return config.Bulk, nil
}

func (p *sweepProgress) count(err error) {
	var refused *dlq.RefusedError
	switch {
	case err == nil:
		p.Done++
	case errors.As(err, &refused):
		p.Refused[refused.Reason]++
	case errors.Is(err, dlq.ErrNoLetter):
		p.Gone++
	default:
		p.Error = err.Error()
	}
}

func writeProgress(w http.ResponseWriter, p sweepProgress) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
	_ = json.NewEncoder(w).Encode(p)
	_ = control.Flush()
}

// pause stops delivery to all workers, for some seconds or until somebody resumes it.
func (c *Console) pause(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	var request struct {
		Seconds int `json:"seconds"` // 0: until somebody resumes it
	}
	if !decode(w, r, &request) {
		return
	}
	if request.Seconds < 0 || request.Seconds > int(maxPause.Seconds()) {
		answer(w, http.StatusBadRequest, failure{"A pause lasts at most 30 days."})
		return
	}
	c.act(w, r, func(ctx context.Context, conn *events.Conn) error {
		lanes, until, err := admin.Pause(ctx, conn, c.cfg, c.cfg.Lanes(), time.Duration(request.Seconds)*time.Second)
		if len(lanes) > 0 {
			log.Info("an operator paused the consumers", "lanes", lanes, "until", until)
		}
		return err
	})
}

// resume ends a pause, and lets the events go on that CALLER_ERROR holds back: at this worker, then at the others.
func (c *Console) resume(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	c.act(w, r, func(ctx context.Context, conn *events.Conn) error {
		_, own := c.parts()
		released := own != nil && own.LetGo()
		others, err := admin.LetGo(ctx, conn, c.cfg)
		if err != nil {
			err = fmt.Errorf("the other workers could not be told to let held events go on: %w", err)
		}
		_, resumeErr := admin.Resume(ctx, conn, c.cfg, c.cfg.Lanes())
		if (released || others > 0) && errors.Is(resumeErr, admin.ErrNoPause) {
			resumeErr = nil // there was no pause to end
		}
		if err = errors.Join(err, resumeErr); err == nil {
			log.Info("an operator resumed the consumers")
		}
		return err
	})
}

func (c *Console) act(w http.ResponseWriter, r *http.Request, do func(context.Context, *events.Conn) error) {
	ctx, cancel := context.WithTimeout(r.Context(), actTimeout)
	defer cancel()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(actAnswer))
	conn, _ := c.parts()
	if conn == nil || !conn.Connected() {
		answer(w, http.StatusBadGateway, failure{"not connected to NATS"})
		return
	}
	if err := do(ctx, conn); err != nil {
		answer(w, http.StatusBadGateway, failure{err.Error()})
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

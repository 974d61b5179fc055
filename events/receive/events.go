package receive

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"revoker/config"
	"revoker/events"
)

const (
	maxEventsBody = 2 << 20 // bytes
	maxBatch      = 1000    // events
	// maxEvent is far below what a NATS server takes in one message by default, 1 MiB. A larger one would be refused when others of its
	// batch are stored already.
	maxEvent = 64 << 10 // bytes

	// A batch in work takes seven times its body: 14 MiB at most. So few large ones are taken at a time, and others wait a little.
	largeBody     = 64 << 10 // bytes
	largeAtOnce   = 4
	largePatience = 2 * time.Second

	batchType = "application/cloudevents-batch+json"

	maxTrace = 512 // bytes of a traceparent or tracestate
)

// accepted is the body of a success.
type accepted struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
}

// events is POST /events: one event as the worker reads it, or a batch of CloudEvents. A batch is all or nothing: each event is
// decoded before the first is published, and one that the stream never takes leaves none stored.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if !s.admits(w, r) {
		return
	}
	if r.ContentLength < 0 || r.ContentLength > largeBody {
		if !s.takeLarge(w) {
			return
		}
		defer func() { <-s.largeSlots }()
	}
	body, err := readBody(w, r, maxEventsBody)
	if err != nil {
		s.refuse(config.ReceiveSource, reasonBody)
		answer(w, bodyStatus(err), refusal{Error: codeInvalid, Description: err.Error()})
		return
	}
	list, err := decode(r.Header, body)
	if err != nil {
		s.refuse(config.ReceiveSource, reasonEvent)
		answer(w, http.StatusBadRequest, refusal{Error: codeInvalid, Description: err.Error(), Index: indexOf(err)})
		return
	}
	signals := make([]events.Signal, len(list))
	for i, event := range list {
		signals[i] = s.signal(r, config.ReceiveSource, event)
	}
	s.accept(w, r, signals)
}

// takeLarge waits for room for a large body, or answers that there is none.
func (s *Server) takeLarge(w http.ResponseWriter) bool {
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case s.largeSlots <- struct{}{}:
		return true
	case <-timer.C:
		return s.take(w, s.largeSlots)
	}
}

// admits answers a sender that may not post events.
func (s *Server) admits(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case s.bearer == nil:
		answer(w, http.StatusNotFound, refusal{Error: codeOff, Description: "this endpoint is off: REVOKER_RECEIVE_TOKEN is not set"})
	case !s.bearer.allows(r, time.Now()):
		s.refuse(config.ReceiveSource, reasonBearer)
		w.Header().Set("WWW-Authenticate", "Bearer")
		answer(w, http.StatusUnauthorized, refusal{Error: codeToken, Description: "the bearer token is missing or not the configured one"})
	default:
		return true
	}
	return false
}

// accept stores the events of a request, and answers.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, signals []events.Signal) {
	duplicates, err := s.store.put(r.Context(), signals...)
	switch {
	case errors.Is(err, events.ErrTooLarge):
		s.refuse(config.ReceiveSource, reasonEvent)
		answer(w, http.StatusRequestEntityTooLarge, refusal{Error: codeInvalid, Description: err.Error(), Index: indexOf(err)})
	case err != nil:
		s.metrics.unstored(config.ReceiveSource, len(signals))
		unstored(w)
	default:
		s.metrics.accept(config.ReceiveSource, len(signals))
		answer(w, http.StatusAccepted, accepted{Accepted: len(signals), Duplicates: duplicates})
	}
}

func bodyStatus(err error) int {
	if errors.Is(err, errTooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// badEvent is the event of a batch that is refused.
type badEvent struct {
	index int
	err   error
}

func (e *badEvent) Error() string { return e.err.Error() }

func indexOf(err error) *int {
	var bad *badEvent
	var large *events.TooLargeError
	switch {
	case errors.As(err, &bad):
		return &bad.index
	case errors.As(err, &large):
		return &large.Index
	}
	return nil
}

// decode reads a body as the worker would, whose decoder knows binary and structured CloudEvents by the same headers: HTTP and NATS
// carry them in the same way. So nothing is accepted that the worker would refuse.
func decode(header http.Header, body []byte) ([]events.Event, error) {
	if mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type")); mediaType == batchType {
		return decodeBatch(body)
	}
	event, err := decodeEvent(header, body)
	if err != nil {
		return nil, &badEvent{0, err}
	}
	return []events.Event{event}, nil
}

func decodeEvent(header http.Header, body []byte) (events.Event, error) {
	event, err := events.Decode(map[string][]string(header), body)
	if err == nil && len(event.ServiceID)+len(event.Reason) > maxEvent {
		err = fmt.Errorf("serviceId and reason have more than %d bytes", maxEvent)
	}
	return event, err
}

// structured is the header of an event in a batch.
var structured = http.Header{"Content-Type": {"application/cloudevents+json"}}

func decodeBatch(body []byte) ([]events.Event, error) {
	var batch []json.RawMessage
	switch err := json.Unmarshal(body, &batch); {
	case err != nil:
		return nil, errors.New("the batch is not a JSON array")
	case len(batch) == 0:
		return nil, errors.New("the batch is empty")
	case len(batch) > maxBatch:
		return nil, fmt.Errorf("the batch has %d events; at most %d are allowed", len(batch), maxBatch)
	}
	list := make([]events.Event, len(batch))
	for i, raw := range batch {
		event, err := decodeEvent(structured, raw)
		if err != nil {
			return nil, &badEvent{i, err}
		}
		list[i] = event
	}
	return list, nil
}

// signal is an event with its source, and with the trace of the request.
func (s *Server) signal(r *http.Request, source string, event events.Event) events.Signal {
	return events.Signal{
		Event: event, Source: source,
		TraceParent: traced(r.Header.Get("traceparent")), TraceState: traced(r.Header.Get("tracestate")),
	}
}

// traced leaves out what is too long to be carried on.
func traced(value string) string {
	if len(value) > maxTrace {
		return ""
	}
	return value
}

package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"revoker/events"
	"revoker/worker/authlete"
)

// letterTimeout bounds the publishing of one dead letter.
const letterTimeout = 10 * time.Second

// attempt is one delivery on its way from its arrival to its settlement.
type attempt struct {
	delivery   *events.Delivery
	generation uint64 // of the breaker, when the call began

	event    events.Event
	response authlete.Response
	took     time.Duration // of the call
	outcome  Outcome
	detail   string        // what went wrong, for people
	wait     time.Duration // the least delay
	panicked bool

	letterFailed bool // the dead letter could not be published
	trace        *traced
}

// process takes one delivery to its settlement: decode, call, classify, settle. It makes at most one call; a failed one is
// handed back, and the queue is the retry timer, so that nothing waits in memory and a crash at any line loses nothing.
func (w *Worker) process(ctx context.Context, caller *authlete.Caller, next inHand) {
	a := &attempt{delivery: next.delivery, generation: next.generation, trace: w.tracing.begin(next.delivery)}
	defer a.trace.end(a)
	w.attempt(ctx, caller, a)
	w.learn(a)
	w.settle(a)
}

// attempt decides the outcome. A panic is one failed attempt of this event and nothing more.
func (w *Worker) attempt(ctx context.Context, caller *authlete.Caller, a *attempt) {
	defer func() {
		if p := recover(); p != nil {
			a.outcome, a.detail, a.panicked = Retry, "a defect in revoker: processing the event panicked", true
			w.log.Error("processing an event panicked", "panic", fmt.Sprintf("%T", p), "sequence", a.delivery.Sequence, "stack", string(debug.Stack()))
		}
	}()
	var err error
	if a.event, err = w.decode(a.delivery); err != nil {
		a.outcome, a.detail = Invalid, err.Error()
		return
	}
	if a.generation, a.wait = w.valve.enter(a.generation, a.event.ServiceID); a.wait > 0 {
		a.outcome, a.detail = Deferred, "calls are paused"
		return
	}
	service := a.event.ServiceID
	if service == "" {
		service = w.service
	}
	defer w.valve.leave()
	a.trace.calling(caller)
	began := time.Now()
	a.response, err = caller.Logout(service, string(a.event.SessionID))
	a.took = time.Since(began)
	a.trace.called(a.response, err)
	if a.outcome = Classify(a.response, err, ctx.Err() != nil); a.outcome == Revoked {
		return
	}
	// Before they are cut short, where half an ID would be left.
	a.response.Action = authlete.Action(events.MaskIn(string(a.response.Action), a.event.SessionID))
	a.response.ResultCode = events.MaskIn(a.response.ResultCode, a.event.SessionID)
	a.detail = events.MaskIn(Describe(a.response, err), a.event.SessionID)
	if a.outcome == Retry && w.exhausted(a) {
		a.outcome = RetriesExhausted
	}
}

// decode reads the event and checks that it may name its service.
func (w *Worker) decode(d *events.Delivery) (events.Event, error) {
	event, err := events.Decode(d.Header(), d.Payload())
	if err != nil {
		return events.Event{}, err
	}
	if event.ServiceID == w.service {
		event.ServiceID = ""
	}
	if event.ServiceID != "" && !slices.Contains(w.allowed, event.ServiceID) {
		return event, errors.New("serviceId is not AUTHLETE_SERVICE_ID and not in REVOKER_ALLOWED_SERVICE_IDS")
	}
	return event, nil
}

// Describe says what went wrong with a call. It may quote the session ID.
func Describe(response authlete.Response, err error) string {
	answer := fmt.Sprintf("HTTP %d", response.Status)
	if response.ResultCode != "" {
		answer += ", " + brief(response.ResultCode)
	}
	switch {
	case err != nil && response.Status != 0:
		return fmt.Sprintf("%v (%s)", err, answer)
	case err != nil:
		return err.Error()
	case response.Action != "":
		return fmt.Sprintf("the logout API answered %s (%s)", brief(string(response.Action)), answer)
	case response.Status == http.StatusProxyAuthRequired:
		return fmt.Sprintf("a proxy asks for authentication (%s): look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY", answer)
	case response.ResultCode == "" && (response.Status/100 == 2 || response.Status == http.StatusBadRequest):
		return fmt.Sprintf("the answer has no action (%s) and may not be the logout API's: look at AUTHLETE_BASE_URL", answer)
	}
	return fmt.Sprintf("the answer has no action (%s)", answer)
}

// serviceVariable is where the service of an event comes from.
func serviceVariable(event events.Event) string {
	if event.ServiceID != "" {
		return "REVOKER_ALLOWED_SERVICE_IDS (the event named its service)"
	}
	return "AUTHLETE_SERVICE_ID"
}

// brief makes a code that came from the network fit for a sentence.
func brief(code string) string {
	const longest = 32
	if code = events.OneLine(code); len(code) > longest {
		return fmt.Sprintf("%q…", code[:longest])
	}
	return code
}

// exhausted decides whether the event itself is at fault for the attempt that just failed.
func (w *Worker) exhausted(a *attempt) bool {
	d, now := a.delivery, time.Now()
	return w.valve.blamesEvent(a.generation) &&
		exhausted(d.Deliveries, w.cfg.RetryMaxAttempts, now.Sub(d.Published), w.cfg.RetryMaxAge, w.sinceOK(now))
}

// learn tells breaker and pacer what the attempt says about the API.
func (w *Worker) learn(a *attempt) {
	if a.response.Status != 0 {
		w.pacer.observe(a.took)
		if a.delivery.Deliveries > 1 {
			w.pacer.retried(a.outcome == Revoked || a.outcome == CallerError)
		}
	}
	r := result{generation: a.generation, reason: a.detail, wait: a.response.RetryAfter}
	throttled := a.response.RetryAfter > 0 && (a.response.Status == 429 || a.response.Status == 503)
	switch a.outcome {
	case Revoked:
		w.revoked(a.event.ServiceID)
		r.verdict = working
	case CallerError:
		r.verdict = working
	case Misconfigured:
		r.reason = fmt.Sprintf("%s: look at %s", a.detail, Suspect(a.response.Status, serviceVariable(a.event)))
		if service := a.event.ServiceID; service != "" {
			if w.valve.hold(service) {
				w.log.Warn("the events of a service are held back", "service", service, "reason", r.reason)
			}
		} else {
			r.verdict, r.misconfig = refusing, true
		}
	case Retry, RetriesExhausted:
		switch {
		case a.panicked:
		case throttled:
			r.verdict = refusing
		case a.response.Action == "" || a.delivery.Deliveries == 1:
			r.verdict, r.answered, r.session = failing, a.response.Action != "", a.event.ServiceID+"\x00"+string(a.event.SessionID)
		default:
			r.verdict = ambiguous
		}
	}
	w.valve.report(r)
}

// settle is the one place where deliveries are settled. Whatever fails on the way, the event stays in the stream.
func (w *Worker) settle(a *attempt) {
	d := a.delivery
	if a.outcome.Reason() != "" {
		if err := w.deadLetter(a); err != nil {
			a.outcome, a.detail, a.letterFailed = Retry, err.Error(), true
		}
	}
	var delay time.Duration
	if a.outcome == Retry || a.outcome == Misconfigured || a.outcome == Deferred {
		delay = w.delay(a)
	}
	w.renewer.remove(d)
	switch a.outcome {
	case Revoked:
		d.Ack()
	case Retry, Misconfigured, Deferred:
		d.Nak(delay)
	case Interrupted:
		d.Nak(0)
	case CallerError, Invalid, RetriesExhausted:
		d.Term(a.outcome.Reason())
	}
	w.settled(a, delay)
}

// deadLetter publishes the event as a dead letter. It goes on when work is cut off.
func (w *Worker) deadLetter(a *attempt) error {
	ctx, cancel := context.WithTimeout(context.Background(), letterTimeout)
	defer cancel()
	letter := a.letter()
	end := a.trace.letter(&letter)
	err := w.letters.Publish(ctx, a.delivery, letter)
	end(err)
	return err
}

// delay is how long a delivery that is handed back stays away: by the policy for a failed attempt, and no less than the API
// asked for or the pause has left; then paced.
func (w *Worker) delay(a *attempt) time.Duration {
	least := max(a.wait, a.response.RetryAfter)
	if a.outcome != Deferred {
		least = max(least, w.retries.delay(a.delivery.Deliveries))
	}
	return w.pacer.place(time.Now(), max(least, minDelay))
}

// letter says why the event is dead-lettered.
func (a *attempt) letter() events.Letter {
	return events.Letter{
		Reason:        a.outcome.Reason(),
		Error:         a.detail,
		HTTPStatus:    a.response.Status,
		ResultCode:    a.response.ResultCode,
		ResultMessage: a.response.ResultMessage,
		SessionID:     a.event.SessionID,
	}
}

// settled logs the settlement and hands it to the observer.
func (w *Worker) settled(a *attempt, delay time.Duration) {
	d := a.delivery
	s := Settlement{
		Outcome:    a.outcome,
		Session:    a.event.SessionID,
		Sequence:   d.Sequence,
		Deliveries: d.Deliveries,
		Action:     a.response.Action,
		Status:     a.response.Status,
		ResultCode: a.response.ResultCode,
		Deleted:    a.response.Count,
		Detail:     a.detail,
		Delay:      delay,
		Took:       a.took,
		Age:        time.Since(d.Published),

		LetterFailed: a.letterFailed,
	}
	s.log(w.log, w.failures)
	if w.observe != nil {
		w.observe(s)
	}
}

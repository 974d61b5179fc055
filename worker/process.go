package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/worker/admission"
	"revoker/worker/authlete"
)

// attempt is one delivery on its way from its arrival to its settlement.
type attempt struct {
	delivery   *events.Delivery
	lane       admission.Lane
	generation uint64 // of the breaker, when the call began

	event    events.Event
	response authlete.Response
	called   bool          // this process made the call
	began    time.Duration // the call, since epoch
	took     time.Duration // the call
	outcome  Outcome
	detail   string        // what went wrong, for people; the session is masked
	wait     time.Duration // the least delay
	panicked bool
	here     bool // this machine could not make the call

	letterFailed  bool      // the dead letter could not be published
	receiptFailed bool      // the receipt could not be published
	receipt       Receipt   // whether it was stored
	answered      time.Time // when the API revoked the session
	attempts      int       // how often the event had been delivered by then; 0 for this delivery
	tries         int       // that could not store the receipt or the dead letter
	trace         *traced
}

// process takes one delivery to its settlement: decode, call, classify, settle. It makes one call at most, and some more before it
// condemns the session. A failed delivery is handed back, and the queue is the retry timer, so that nothing waits in memory and a crash
// at any line loses nothing.
func (w *Worker) process(ctx context.Context, caller *authlete.Caller, lane admission.Lane, next inHand) {
	a := &attempt{delivery: next.delivery, lane: lane, generation: next.generation, trace: w.tracing.begin(lane, next.delivery)}
	w.attempt(ctx, caller, a)
	w.learn(a)
	if a.outcome == Revoked && w.receipts != nil {
		w.confirm(a) // and settles it later
		return
	}
	w.settle(a)
}

// attempt decides the outcome. A panic is one failed attempt of this event and nothing more.
func (w *Worker) attempt(ctx context.Context, caller *authlete.Caller, a *attempt) {
	defer w.survive(a, "processing an event", func() {
		a.outcome, a.detail, a.panicked = Retry, "a defect in revoker: processing the event panicked", true
	})
	var err error
	if a.event, err = w.decode(a.delivery.Header(), a.delivery.Payload()); err != nil {
		a.outcome, a.detail = Invalid, err.Error()
		return
	}
	if done, known := w.early.take(keyOf(a.delivery)); known {
		a.outcome, a.response, a.took, a.answered, a.attempts = Revoked, done.response, done.took, done.answered, done.attempts
		return
	}
	if a.generation, a.wait = w.admission.Enter(a.generation, a.event.ServiceID); a.wait > 0 {
		a.outcome, a.detail = Deferred, "calls are paused"
		return
	}
	defer w.admission.Leave()
	w.call(ctx, caller, a)
	if a.outcome == Retry && w.lastAttempt(ctx, caller, a) {
		a.outcome = RetriesExhausted
	}
}

// call makes the API call for a's event, and classifies the answer.
func (w *Worker) call(ctx context.Context, caller *authlete.Caller, a *attempt) {
	service := a.event.ServiceID
	if service == "" {
		service = w.service
	}
	a.trace.calling(caller)
	a.called, a.began = true, time.Since(epoch)
	response, err := caller.Logout(service, string(a.event.SessionID))
	a.took, a.answered = time.Since(epoch)-a.began, time.Now()
	a.outcome = Classify(response, err, ctx.Err() != nil)
	// Masked before anything is cut short, where half an ID would be left, and before anyone sees it.
	mask := func(text string) string { return events.MaskIn(text, a.event.SessionID) }
	failure := ""
	if err != nil {
		a.here = authlete.Exhausted(err)
		failure = mask(err.Error())
	}
	if a.outcome != Revoked {
		response.Action = authlete.Action(mask(string(response.Action)))
		response.ResultCode = mask(response.ResultCode)
		a.detail = mask(Describe(response, err))
	}
	a.response = response
	a.trace.called(response, failure)
}

// decode reads the event and checks that it may name its service.
func (w *Worker) decode(header nats.Header, payload []byte) (events.Event, error) {
	event, err := events.Decode(header, payload)
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
		return describeFailure(err)
	case response.Action != "":
		return fmt.Sprintf("the logout API answered %s (%s)", brief(string(response.Action)), answer)
	case response.Status == http.StatusProxyAuthRequired:
		return fmt.Sprintf("a proxy asks for authentication (%s): look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY", answer)
	case response.Status == http.StatusUnauthorized:
		return fmt.Sprintf("the API rejected the token (%s)", answer)
	case response.Status == http.StatusForbidden && response.ResultCode != "":
		return fmt.Sprintf("the API does not let the token use this service (%s)", answer)
	case response.Status == http.StatusNotFound && response.ResultCode != "":
		return fmt.Sprintf("the API does not know this service (%s)", answer)
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

// settle is the one place where deliveries are settled. Whatever fails on the way, the event stays in the stream: a panic hands
// it back.
//
// An event whose dead letter can't be stored is settled by a later try.
func (w *Worker) settle(a *attempt) {
	kept := false
	defer func() {
		if kept {
			return
		}
		if a.tries > 0 {
			w.unstored.release(a)
		}
		a.trace.end(a)
	}()
	defer w.survive(a, "settling an event", func() {
		w.renewer.remove(a.delivery)
		a.delivery.Nak(w.cfg.RetryInitialInterval)
	})
	d := a.delivery
	if a.outcome.Reason() != "" {
		if err := w.deadLetter(a); err != nil {
			failed := *a
			failed.outcome, failed.detail, failed.letterFailed = Retry, err.Error(), true
			if kept = w.keep(a, failed, func() { w.settle(a) }); kept {
				return
			}
			*a = failed
		}
	}
	var delay time.Duration
	if a.outcome == Retry || a.outcome == Misconfigured || a.outcome == Deferred {
		delay = w.delay(a)
	}
	w.renewer.remove(d)
	if delay > 0 {
		w.handedBack[a.lane].Store(true)
	}
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
	letter := a.letter()
	end := a.trace.letter(&letter)
	err := w.letters.Publish(context.Background(), a.delivery, letter)
	end(err)
	return err
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
		Lane:       laneNames[a.lane],
		Source:     events.Source(d.Header()),
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
		Trace:      a.trace.sampled(),

		LetterFailed:  a.letterFailed,
		Receipt:       a.receipt,
		ReceiptFailed: a.receiptFailed,
	}
	if s.Outcome == Revoked && !a.answered.IsZero() {
		s.Age = a.answered.Sub(d.Published)
	}
	if s.Outcome != Retry && s.Outcome != Deferred {
		w.charges.forget(keyOf(d))
	}
	if s.Outcome == Revoked {
		s.ToRevoked = toRevoked(a.event, d.Published, a.answered)
		w.sources.add(time.Since(epoch), s.Source, s.Deleted)
	}
	s.log(w.log, w.failures)
	if w.observe != nil {
		w.observe(s)
	}
}

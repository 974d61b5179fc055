package worker

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"revoker/events"
	"revoker/worker/admission"
)

// blame says who is at fault for a call that did not succeed.
type blame int

const (
	nobody     blame = iota
	wholeAPI         // any call would have failed: it is down, throttles, or the configuration is wrong
	oneService       // the service that the event named: refused, or throttled
)

// judge says what an outcome tells about the API. named says that the event itself named its service, which is then not the
// configured one. It is a pure function: its table test is its documentation.
func judge(outcome Outcome, status int, throttled, named, panicked bool) (admission.Verdict, blame) {
	switch outcome {
	case Revoked:
		return admission.Working, nobody
	case CallerError:
		return admission.Rejecting, nobody
	case Misconfigured:
		// A token that is wrong, or an address, is wrong for all; permission and existence are a service's own.
		if named && (status == http.StatusForbidden || status == http.StatusNotFound) {
			return admission.SaysNothing, oneService
		}
		return admission.Refusing, wholeAPI
	case Retry, RetriesExhausted:
		switch {
		case panicked:
			return admission.SaysNothing, nobody
		case throttled && named:
			return admission.SaysNothing, oneService
		case throttled:
			return admission.Refusing, wholeAPI
		}
		return admission.Failing, nobody
	}
	return admission.SaysNothing, nobody
}

// throttled reports whether the answer asks for time.
func (a *attempt) throttled() bool {
	return a.response.RetryAfter > 0 &&
		(a.response.Status == http.StatusTooManyRequests || a.response.Status == http.StatusServiceUnavailable)
}

// ended says what the end of the call tells about load.
func (a *attempt) ended() admission.Ended {
	switch {
	case a.here:
		return admission.Exhausted
	case a.outcome == Revoked || a.outcome == CallerError:
		return admission.Answered
	case a.outcome != Retry || a.throttled() || a.response.Action != "":
		return admission.Unknown
	}
	switch a.response.Status {
	case 0, http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return admission.Overloaded
	}
	return admission.Unknown
}

// evidence says what a call tells about the API, and holds its service back where that is at fault.
func (w *Worker) evidence(a *attempt) admission.Result {
	service := a.event.ServiceID
	verdict, blame := judge(a.outcome, a.response.Status, a.throttled(), service != "", a.panicked)
	r := admission.Result{
		Generation: a.generation, Verdict: verdict, Reason: a.detail, Wait: a.response.RetryAfter, Session: service + "\x00" + string(a.event.SessionID),
		Took: a.took, Ended: a.ended(), Throttled: blame == wholeAPI && a.throttled(),
	}
	if service == "" { // what a service of its own is allowed says nothing of the others
		r.Stated, r.StatedPause = a.response.RateLimit.PerSecond, a.response.RateLimit.Pause
	}
	if a.here {
		r.Verdict = admission.SaysNothing
	}
	if a.outcome == Misconfigured {
		r.Misconfig = blame == wholeAPI
		r.Reason = fmt.Sprintf("%s: look at %s", a.detail, Suspect(a.response.Status, serviceVariable(a.event)))
	}
	switch {
	case blame == oneService:
		w.admission.Hold(service, r.Reason, a.response.RetryAfter)
	case verdict == admission.Working:
		w.revoked(a.event)
	}
	return r
}

// learn tells breaker and pacer what the attempt says about the API. A panic here costs the lesson, and nothing more.
func (w *Worker) learn(a *attempt) {
	defer w.survive(a, "learning from an event", func() { w.admission.Report(admission.Result{Generation: a.generation}) })
	if a.response.Status != 0 && a.took > 0 {
		w.pacer.Observe(a.took)
		if a.delivery.Deliveries > 1 {
			w.pacer.Retried(a.outcome == Revoked || a.outcome == CallerError)
		}
	}
	first := uint64(0)
	if a.delivery.Deliveries == 1 {
		first = a.delivery.Sequence
	}
	w.pacer.Waiting(time.Now(), int(a.lane), first, a.delivery.Pending)
	r := admission.Result{Generation: a.generation}
	if a.called {
		r = w.evidence(a)
	}
	w.admission.Report(r)
	if a.outcome == CallerError && w.admission.Braked() {
		a.outcome, a.detail = Deferred, "CALLER_ERROR for many sessions in a row holds all events back; this one: "+a.detail
		a.wait = w.admission.Pause()
	}
}

// survive ends a panic in what was being done, and then does the rest. One event's defect must not end the process.
func (w *Worker) survive(a *attempt, doing string, rest func()) {
	if p := recover(); p != nil {
		w.log.Error(doing+" panicked", "panic", fmt.Sprintf("%T", p), "sequence", a.delivery.Sequence, "stack", string(debug.Stack()))
		rest()
	}
}

// revokedSession is a session that the API revoked.
type revokedSession struct {
	event events.Event
	at    time.Duration // since epoch
}

// rememberEvery is how often the revoked session that is remembered is replaced.
const rememberEvery = 100 * time.Millisecond

// revoked notes that the API works, for some session.
func (w *Worker) revoked(event events.Event) {
	now := time.Since(epoch)
	if last := w.lastRevoked.Load(); last == nil || now-last.at >= rememberEvery {
		w.lastRevoked.Store(&revokedSession{event, now})
		w.proofs.add(event)
	}
	if event.ServiceID != "" {
		w.admission.Unhold(event.ServiceID)
	}
}

package worker

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"revoker/events"
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
func judge(outcome Outcome, status int, throttled, named, panicked bool) (verdict, blame) {
	switch outcome {
	case Revoked:
		return working, nobody
	case CallerError:
		return rejecting, nobody
	case Misconfigured:
		// A token that is wrong, or an address, is wrong for all; permission and existence are a service's own.
		if named && (status == http.StatusForbidden || status == http.StatusNotFound) {
			return saysNothing, oneService
		}
		return refusing, wholeAPI
	case Retry, RetriesExhausted:
		switch {
		case panicked:
			return saysNothing, nobody
		case throttled && named:
			return saysNothing, oneService
		case throttled:
			return refusing, wholeAPI
		}
		return failing, nobody
	}
	return saysNothing, nobody
}

// throttled reports whether the answer asks for time.
func (a *attempt) throttled() bool {
	return a.response.RetryAfter > 0 &&
		(a.response.Status == http.StatusTooManyRequests || a.response.Status == http.StatusServiceUnavailable)
}

// evidence says what a call tells about the API, and holds its service back where that is at fault.
func (w *Worker) evidence(a *attempt) result {
	service := a.event.ServiceID
	verdict, blame := judge(a.outcome, a.response.Status, a.throttled(), service != "", a.panicked)
	r := result{generation: a.generation, verdict: verdict, reason: a.detail, wait: a.response.RetryAfter, session: service + "\x00" + string(a.event.SessionID)}
	if a.outcome == Misconfigured {
		r.misconfig = blame == wholeAPI
		r.reason = fmt.Sprintf("%s: look at %s", a.detail, Suspect(a.response.Status, serviceVariable(a.event)))
	}
	switch {
	case blame == oneService:
		w.admission.hold(service, r.reason, a.response.RetryAfter)
	case verdict == working:
		w.revoked(a.event)
	}
	return r
}

// learn tells breaker and pacer what the attempt says about the API. A panic here costs the lesson, and nothing more.
func (w *Worker) learn(a *attempt) {
	defer w.survive(a, "learning from an event", func() { w.admission.report(result{generation: a.generation}) })
	if a.response.Status != 0 && a.took > 0 {
		w.pacer.observe(a.took)
		w.handBack.observe(a.took)
		if a.delivery.Deliveries > 1 {
			w.pacer.retried(a.outcome == Revoked || a.outcome == CallerError)
		}
	}
	w.pacer.waiting(a.delivery.Pending)
	r := result{generation: a.generation}
	if a.called {
		r = w.evidence(a)
	}
	w.admission.report(r)
	if a.outcome == CallerError && w.admission.braked() {
		a.outcome, a.detail = Deferred, "CALLER_ERROR for many sessions in a row holds all events back; this one: "+a.detail
		a.wait = w.admission.pause()
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
	w.lastOK.Store(int64(now))
	if last := w.lastRevoked.Load(); last == nil || now-last.at >= rememberEvery {
		w.lastRevoked.Store(&revokedSession{event, now})
	}
	if event.ServiceID != "" {
		w.admission.unhold(event.ServiceID)
	}
}

// brakeReason is what readiness and log say while the brake is on.
func brakeReason(sessions int, detail string) string {
	return fmt.Sprintf("CALLER_ERROR for %d sessions in a row (%s): the others are held back, since something may be wrong for all of them. "+
		"See whether Native SSO is enabled for the service; `revoker resume` lets the rest go on to the dead letters", sessions, detail)
}

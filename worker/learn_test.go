package worker

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"revoker/worker/admission"
)

// The table says what each outcome tells about the API, and who is at fault.
func TestJudge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome                    Outcome
		status                     int
		throttled, named, panicked bool
		want                       admission.Verdict
		blame                      blame
	}{
		"OK":                                 {Revoked, 200, false, false, false, admission.Working, nobody},
		"CALLER_ERROR":                       {CallerError, 400, false, false, false, admission.Rejecting, nobody},
		"a failure":                          {Retry, 500, false, false, false, admission.Failing, nobody},
		"no answer":                          {Retry, 0, false, false, false, admission.Failing, nobody},
		"a failure for a named service":      {Retry, 500, false, true, false, admission.Failing, nobody},
		"one that ends the retries":          {RetriesExhausted, 500, false, false, false, admission.Failing, nobody},
		"throttled":                          {Retry, 429, true, false, false, admission.Refusing, wholeAPI},
		"unavailable for a time":             {Retry, 503, true, false, false, admission.Refusing, wholeAPI},
		"a named service is throttled":       {Retry, 429, true, true, false, admission.SaysNothing, oneService},
		"a wrong token":                      {Misconfigured, 401, false, false, false, admission.Refusing, wholeAPI},
		"not allowed":                        {Misconfigured, 403, false, false, false, admission.Refusing, wholeAPI},
		"no such service":                    {Misconfigured, 404, false, false, false, admission.Refusing, wholeAPI},
		"a wrong token, for a named service": {Misconfigured, 401, false, true, false, admission.Refusing, wholeAPI},
		"not allowed for a named service":    {Misconfigured, 403, false, true, false, admission.SaysNothing, oneService},
		"a named service that is not there":  {Misconfigured, 404, false, true, false, admission.SaysNothing, oneService},
		"no POST there, for a named service": {Misconfigured, 405, false, true, false, admission.Refusing, wholeAPI},
		"no JSON there, for a named service": {Misconfigured, 415, false, true, false, admission.Refusing, wholeAPI},
		"redirected, for a named service":    {Misconfigured, 302, false, true, false, admission.Refusing, wholeAPI},
		"an invalid event":                   {Invalid, 0, false, false, false, admission.SaysNothing, nobody},
		"cut off by shutdown":                {Interrupted, 0, false, false, false, admission.SaysNothing, nobody},
		"not called":                         {Deferred, 0, false, false, false, admission.SaysNothing, nobody},
		"a defect of revoker's":              {Retry, 0, false, false, true, admission.SaysNothing, nobody},
	} {
		if got, blame := judge(c.outcome, c.status, c.throttled, c.named, c.panicked); got != c.want || blame != c.blame {
			t.Errorf("%s: verdict %d, blame %d; want %d, %d", name, got, blame, c.want, c.blame)
		}
	}
}

// A defect in learning or settling costs one event a moment. The process goes on, the event is handed back, and the breaker
// hears of it.
func TestAPanicInLearningOrSettlingEndsNothing(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	w := &Worker{
		log: slog.New(slog.NewTextHandler(&text, nil)), admission: quietAdmission(1),
		renewer: newRenewer(func() time.Duration { return time.Hour }),
	} // without pacers
	w.cfg.RetryInitialInterval = time.Millisecond
	a := &attempt{delivery: deliveryOf(t, `{"sessionId":"SECRET-session"}`), outcome: Retry}
	a.response.Status, a.took = 500, time.Millisecond
	w.renewer.add(a.delivery)
	w.learn(a)
	w.settle(a)
	if n := strings.Count(text.String(), "panicked"); n != 2 || strings.Contains(text.String(), "SECRET") {
		t.Errorf("%d panics are in the log:\n%s", n, text.String())
	}
	if n := w.renewer.count(); n != 0 {
		t.Errorf("%d deliveries are still renewed, and would never come back", n)
	}
}

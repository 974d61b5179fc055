package worker

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"revoker/worker/admission"
	"revoker/worker/retry"
)

// quietAdmission is an admission that logs nothing.
func quietAdmission(slots int) *admission.Admission {
	limit := admission.NewLimit(slots)
	b := admission.NewBreaker(20, 100, limit, time.Second, 5*time.Second)
	return admission.New(limit, 0, b, [2]admission.Heartbeat{&heartbeat{}, &heartbeat{}}, slog.New(slog.DiscardHandler))
}

// A panic is one failed attempt. The API client is missing here, which no configuration can bring about.
func TestAPanicIsOneFailedAttempt(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	w := &Worker{log: slog.New(slog.NewTextHandler(&text, nil)), admission: quietAdmission(1), pacer: retry.NewPacer(retry.Pace{Slots: 1, Share: 1, Longest: time.Minute, Start: time.Now()})}
	a := &attempt{delivery: deliveryOf(t, `{"sessionId":"SECRET-session"}`)}
	w.attempt(t.Context(), nil, a)
	if a.outcome != Retry || w.admission.InFlight() != 0 {
		t.Errorf("outcome %s, %d calls", a.outcome, w.admission.InFlight())
	}
	for range 20 * 20 {
		w.learn(a)
	}
	if state, _ := w.admission.State(); state != admission.Closed {
		t.Errorf("the breaker is %s", state)
	}
	if !strings.Contains(text.String(), "process.go") || strings.Contains(text.String(), "SECRET") {
		t.Errorf("the log:\n%s", text.String())
	}
}

func TestFailuresAreWrittenOnceWithTheirCount(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	f := newFailureLog(slog.New(slog.NewTextHandler(&text, nil)))
	for range 1000 {
		f.count("the same")
	}
	f.count("another")
	if n := strings.Count(text.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, text.String())
	}
	f.kinds["the same"].written = time.Now().Add(-failureInterval)
	f.count("the same")
	if !strings.Contains(text.String(), "times=1000") {
		t.Errorf("no count:\n%s", text.String())
	}
	for i := range 10 * maxFailureKinds {
		f.count(strings.Repeat("x", i))
	}
	if len(f.kinds) > maxFailureKinds {
		t.Errorf("%d kinds are kept", len(f.kinds))
	}
}

package worker

import (
	"errors"
	"testing"

	"revoker/worker/authlete"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	const ok, server, caller, none = authlete.ActionOK, authlete.ActionServerError, authlete.ActionCallerError, authlete.Action("")
	failed := errors.New("connection reset")
	for _, c := range []struct {
		status      int
		action      authlete.Action
		err         error
		interrupted bool
		want        Outcome
	}{
		// The action decides where there is one, whatever the status.
		{200, ok, nil, false, Revoked},
		{204, ok, nil, false, Revoked},
		{200, server, nil, false, Retry},
		{500, server, nil, false, Retry},
		{401, server, nil, false, Retry},
		{200, caller, nil, false, CallerError},
		{400, caller, nil, false, CallerError},
		{500, caller, nil, false, CallerError},
		{403, caller, nil, false, CallerError},
		// An OK that the status contradicts is none.
		{500, ok, nil, false, Retry},
		{404, ok, nil, false, Retry},
		{302, ok, nil, false, Retry},
		// Without an action the status decides: a fault of the configuration, …
		{401, none, nil, false, Misconfigured},
		{403, none, nil, false, Misconfigured},
		{404, none, nil, false, Misconfigured},
		{405, none, nil, false, Misconfigured},
		{415, none, nil, false, Misconfigured},
		{301, none, nil, false, Misconfigured},
		{307, none, nil, false, Misconfigured},
		{401, "UNKNOWN", nil, false, Misconfigured},
		{401, none, failed, false, Misconfigured},
		// … or something that may pass.
		{200, none, nil, false, Retry},
		{200, "UNKNOWN", nil, false, Retry},
		{200, "ok", nil, false, Retry},
		{204, none, nil, false, Retry},
		{400, none, nil, false, Retry},
		{402, none, nil, false, Retry},
		{408, none, nil, false, Retry},
		{409, none, nil, false, Retry},
		{410, none, nil, false, Retry},
		{413, none, nil, false, Retry},
		{422, none, nil, false, Retry},
		{425, none, nil, false, Retry},
		{429, none, nil, false, Retry},
		{500, none, nil, false, Retry},
		{502, none, nil, false, Retry},
		{503, none, nil, false, Retry},
		{504, none, nil, false, Retry},
		{599, none, nil, false, Retry},
		{101, none, nil, false, Retry},
		{200, none, failed, false, Retry},
		{0, none, failed, false, Retry},
		// A shutdown is not a failure, and does not hide an answer that came.
		{0, none, failed, true, Interrupted},
		{200, none, failed, true, Interrupted},
		{200, ok, nil, true, Revoked},
		{400, caller, nil, true, CallerError},
		{503, none, nil, true, Retry},
	} {
		if got := Classify(authlete.Response{Status: c.status, Action: c.action}, c.err, c.interrupted); got != c.want {
			t.Errorf("%d %q %v interrupted=%v: %s, want %s", c.status, c.action, c.err, c.interrupted, got, c.want)
		}
	}
}

func TestEachDeadLetterHasAReason(t *testing.T) {
	t.Parallel()
	want := map[Outcome]string{CallerError: "CALLER_ERROR", Invalid: "INVALID_EVENT", RetriesExhausted: "RETRIES_EXHAUSTED"}
	for _, o := range Outcomes {
		if o.Reason() != want[o] {
			t.Errorf("%s: %q, want %q", o, o.Reason(), want[o])
		}
	}
}

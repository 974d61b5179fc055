package history

import (
	"testing"

	"revoker/worker"
	"revoker/worker/authlete"
)

func TestCauses(t *testing.T) {
	t.Parallel()
	for want, settlements := range map[cause][]worker.Settlement{
		none:             {{Outcome: worker.Revoked}, {Outcome: worker.Deferred}, {Outcome: worker.Interrupted}},
		callerError:      {{Outcome: worker.CallerError, Action: authlete.ActionCallerError, Status: 400}},
		invalidEvent:     {{Outcome: worker.Invalid}},
		retriesExhausted: {{Outcome: worker.RetriesExhausted, Action: authlete.ActionServerError, Status: 500}},
		serverError:      {{Outcome: worker.Retry, Action: authlete.ActionServerError, Status: 500}},
		noAnswer:         {{Outcome: worker.Retry}},
		throttled:        {{Outcome: worker.Retry, Status: 429}},
		otherAnswer:      {{Outcome: worker.Retry, Status: 503}, {Outcome: worker.Retry, Action: "SECRET", Status: 200}},
		misconfigured:    {{Outcome: worker.Misconfigured, Status: 401}},
		notStored: {
			{Outcome: worker.Retry, LetterFailed: true, Action: authlete.ActionCallerError, Status: 400},
			{Outcome: worker.Retry, ReceiptFailed: true, Action: authlete.ActionOK, Status: 200},
		},
	} {
		for _, s := range settlements {
			if got := causeOf(s); got != want {
				t.Errorf("%+v: %d, want %d", s, got, want)
			}
		}
	}
	for i, name := range Causes {
		if name == "" {
			t.Errorf("cause %d has no name", i)
		}
	}
}

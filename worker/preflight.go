package worker

import (
	"context"

	"revoker/worker/authlete"
)

// Preflight is what a call without a session ID tells of the token and of a service. The call touches no session, and is no
// attempt of an event: it changes neither the circuit breaker nor anything else of a Worker.
type Preflight struct {
	authlete.Probe
	// Outcome is what the same answer would mean for an event. The API refuses a call without a session ID with CALLER_ERROR.
	Outcome Outcome
	// Detail says in words what the API answered, or why it did not.
	Detail string
	// Suspect names the variables to look at. It is empty unless Outcome is Misconfigured.
	Suspect string
}

// TryService makes the call for a service. variable names the variable that the service comes from.
func TryService(ctx context.Context, api *authlete.Client, service, variable string) Preflight {
	return PreflightOf(api.Probe(ctx, service), variable)
}

// PreflightOf judges an answer. variable names the variable that the service comes from.
func PreflightOf(probe authlete.Probe, variable string) Preflight {
	p := Preflight{Probe: probe, Outcome: Classify(probe.Response, probe.Err, false), Detail: Describe(probe.Response, probe.Err)}
	if p.Outcome == Misconfigured {
		p.Suspect = Suspect(probe.Response.Status, variable)
	}
	return p
}

// Accepted reports whether the call came as far as the logout API itself, so that token and service are right.
func (p Preflight) Accepted() bool {
	switch p.Response.Action {
	case authlete.ActionOK, authlete.ActionServerError, authlete.ActionCallerError:
		return true
	}
	return false
}

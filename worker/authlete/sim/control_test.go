package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestOutage: every call gets the outage's answer, scripts and rule notwithstanding, and none is used up by it.
func TestOutage(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Tokens: 2, Rule: func(_ string, attempt int) Answer {
		if attempt == 2 {
			return Answer{Kind: Forbidden}
		}
		return Answer{}
	}})
	api.Script("s", Answer{Kind: ServerError})
	var statuses []int
	call := func() { statuses = append(statuses, logoutOf("s").send(t, api.URL()).status) }
	api.Outage(Answer{Kind: Unavailable}, 0)
	call()
	call()
	api.Outage(Answer{Kind: TooMany}, time.Hour) // ends the one before
	call()
	api.Recover()
	call()
	call()
	call()
	if want := []int{503, 503, 429, 500, 403, 200}; !slices.Equal(statuses, want) {
		t.Errorf("statuses %v, want %v", statuses, want)
	}
	if s := api.Session("s"); len(s.Calls) != 6 || s.Calls[5].Deleted != 2 {
		t.Errorf("the ledger has %+v, want six calls, the last with both tokens", s)
	}
}

func TestOutageEnds(t *testing.T) {
	t.Parallel()
	api := start(t, Options{})
	const duration = 200 * time.Millisecond
	began := time.Now()
	api.Outage(Answer{Kind: Unavailable}, duration)
	eventually(t, "the outage's end", func() bool { return logoutOf("s").send(t, api.URL()).status == 200 })
	calls := api.Session("s").Calls
	if last := calls[len(calls)-1]; last.Ended.Sub(began) < duration {
		t.Errorf("an OK %s after the outage began, want no less than %s", last.Ended.Sub(began), duration)
	}

	api.Outage(Answer{Kind: Unavailable}, 0)
	for range 3 { // the duration of the one before is past, and means nothing to this one
		if got := logoutOf("s").send(t, api.URL()); got.status != 503 {
			t.Errorf("status %d in an outage without an end, want 503", got.status)
		}
	}
}

func TestSetToken(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Token: "old"})
	r := logoutOf("s")
	for _, step := range []struct {
		valid, sent string
		status      int
	}{{"old", "old", 200}, {"new", "old", 401}, {"new", "new", 200}, {"", "any", 200}} {
		api.SetToken(step.valid)
		r.authorization = "Bearer " + step.sent
		if got := r.send(t, api.URL()); got.status != step.status {
			t.Errorf("%+v: status %d", step, got.status)
		}
	}
}

// TestControlRoutes: another process can do what a test does by method calls.
func TestControlRoutes(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Token: token, Tokens: 2})
	control := func(method, path, body string) reply {
		t.Helper()
		return request{method: method, path: path, body: body}.send(t, api.URL())
	}
	status := func(want int) {
		t.Helper()
		if got := logoutOf("s").send(t, api.URL()).status; got != want {
			t.Errorf("a call got status %d, want %d", got, want)
		}
	}
	accepted := func(got reply) {
		t.Helper()
		if got.status != http.StatusOK {
			t.Errorf("status %d: %s", got.status, got.raw)
		}
	}
	outage, err := json.Marshal(OutageRequest{Answer: Answer{Kind: TooMany, Status: 503}, For: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	accepted(control("POST", "/sim/outage", string(outage)))
	status(503)
	accepted(control("DELETE", "/sim/outage", ""))
	status(200)
	accepted(control("POST", "/sim/outage", `{"Answer":{"Kind":"unavailable"},"For":1}`)) // a nanosecond
	status(200)
	accepted(control("PUT", "/sim/token", `"another"`))
	status(401)
	accepted(control("PUT", "/sim/token", `"`+token+`"`))
	status(200)

	var sessions map[string]Session
	got := control("GET", "/sim/sessions", "")
	if err := json.Unmarshal([]byte(got.raw), &sessions); err != nil || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("sessions %s: %v", got.raw, err)
	}
	s := sessions["s"]
	if len(sessions) != 1 || len(s.Calls) != 4 || !s.Revoked() || s.Calls[0].Kind != TooMany || s.Calls[1].Deleted != 2 {
		t.Errorf("sessions %+v, want s with four calls", sessions)
	}
	if got := control("GET", "/sim/calls", ""); got.raw != "5\n" {
		t.Errorf("calls %q, want 5", got.raw)
	}
	if n := api.Calls(); n != 5 {
		t.Errorf("%d calls, want 5: control is none", n)
	}
}

func TestControlRefuses(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Token: token})
	for _, r := range []request{
		{method: "POST", path: "/sim/outage", body: "{"},
		{method: "POST", path: "/sim/outage", body: `{"For":"1s"}`},
		{method: "PUT", path: "/sim/token", body: token},
		{method: "PUT", path: "/sim/token", body: ""},
	} {
		if got := r.send(t, api.URL()); got.status != http.StatusBadRequest {
			t.Errorf("%+v: status %d, want 400", r, got.status)
		}
	}
	for _, r := range []request{{method: "GET", path: "/sim/outage"}, {method: "POST", path: "/sim/sessions"}, {method: "GET", path: "/sim/"}} {
		if got := r.send(t, api.URL()); got.status != http.StatusNotFound {
			t.Errorf("%+v: status %d, want 404", r, got.status)
		}
	}
	if got := logoutOf("s").send(t, api.URL()); got.status != 200 {
		t.Errorf("what was refused changed something: %+v", got)
	}
}

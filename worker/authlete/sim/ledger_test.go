package sim

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestCount: the first OK deletes the tokens, and the call can be repeated without harm.
func TestCount(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Tokens: 2})
	api.Issue("five", 5)
	api.Issue("none", 0)
	for _, call := range []struct {
		session string
		want    int
	}{{"five", 5}, {"five", 0}, {"none", 0}, {"any", 2}, {"any", 0}, {"five", 0}} {
		got := logoutOf(call.session).send(t, api.URL())
		message := fmt.Sprintf("[A503001] The /nativesso/logout API call successfully deleted %d access/refresh token record(s).", call.want)
		if got.status != 200 || got.Action != "OK" || got.Count != call.want || got.ResultMessage != message {
			t.Errorf("%s: %+v, want OK with count %d", call.session, got, call.want)
		}
	}
	api.Issue("five", 1) // another login of the same session
	if got := logoutOf("five").send(t, api.URL()); got.Count != 1 {
		t.Errorf("count %d after another was issued, want 1", got.Count)
	}
}

// TestCountOnce: however many calls come at the same time, each token is deleted by one of them.
func TestCountOnce(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Tokens: 4})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, _ = logoutOf("s").try(t.Context(), api.URL()) })
	}
	wg.Wait()
	deleted := 0
	for _, call := range api.Session("s").Calls {
		deleted += call.Deleted
	}
	if n := len(api.Session("s").Calls); n != 20 || deleted != 4 {
		t.Errorf("%d calls deleted %d records, want 20 and 4", n, deleted)
	}
}

// TestScript: answers hold for one call each and one session; then the rule holds, or OK.
func TestScript(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Tokens: 1})
	api.Script("s", Answer{Kind: ServerError}, Answer{Kind: Unavailable})
	api.Script("s", Answer{Kind: Forbidden})
	if got := logoutOf("another").send(t, api.URL()); got.status != 200 {
		t.Errorf("another session got the script: %+v", got)
	}
	var statuses []int
	for range 5 {
		statuses = append(statuses, logoutOf("s").send(t, api.URL()).status)
	}
	if want := []int{500, 503, 403, 200, 200}; !slices.Equal(statuses, want) {
		t.Errorf("statuses %v, want %v", statuses, want)
	}
	s := api.Session("s")
	var kinds []Kind
	var deleted []int
	for _, call := range s.Calls {
		kinds, deleted = append(kinds, call.Kind), append(deleted, call.Deleted)
	}
	if want := []Kind{ServerError, Unavailable, Forbidden, OK, OK}; !slices.Equal(kinds, want) {
		t.Errorf("the ledger has %q, want %q", kinds, want)
	}
	if want := []int{0, 0, 0, 1, 0}; !slices.Equal(deleted, want) {
		t.Errorf("the ledger has %v deleted, want %v", deleted, want)
	}
}

func TestRule(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Rule: func(session string, attempt int) Answer {
		if session == "slow to heal" && attempt < 4 {
			return Answer{Kind: ServerError}
		}
		return Answer{}
	}})
	api.Script("slow to heal", Answer{Kind: TooMany}) // is the first attempt
	var statuses []int
	for range 5 {
		statuses = append(statuses, logoutOf("slow to heal").send(t, api.URL()).status)
	}
	if want := []int{429, 500, 500, 200, 200}; !slices.Equal(statuses, want) {
		t.Errorf("statuses %v, want %v", statuses, want)
	}
	if got := logoutOf("sound").send(t, api.URL()); got.status != 200 {
		t.Errorf("%+v, want OK", got)
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	before := time.Now()
	api := start(t, Options{Tokens: 2})
	if s := api.Session("never called"); s.Tokens != 2 || s.Revoked() || len(s.Calls) != 0 || len(api.Sessions()) != 0 {
		t.Errorf("session %+v, sessions %v, want an untouched one, and none", s, api.Sessions())
	}
	api.Script("s", Answer{Kind: ServerError})
	for range 3 {
		logoutOf("s").send(t, api.URL())
	}
	r := logoutOf("t")
	r.method = "GET" // refused: no session is touched
	r.send(t, api.URL())

	s := api.Session("s")
	if len(s.Calls) != 3 || s.Tokens != 0 || !s.Revoked() || !s.RevokedAt.Equal(s.Calls[1].Ended) {
		t.Fatalf("session %+v, want three calls, revoked by the second", s)
	}
	last := before
	for i, call := range s.Calls {
		if call.Service != service || call.Began.Before(last) || call.Ended.Before(call.Began) {
			t.Errorf("call %d: %+v, after %s", i, call, last)
		}
		last = call.Ended
	}
	if n := api.Calls(); n != 4 {
		t.Errorf("%d calls, want 4, the refused one included", n)
	}
	if all := api.Sessions(); len(all) != 1 || !all["s"].RevokedAt.Equal(s.RevokedAt) {
		t.Errorf("sessions %+v, want s alone", all)
	}
	s.Calls[0].Service = "changed"
	if api.Session("s").Calls[0].Service != service {
		t.Error("the ledger gave its own memory away")
	}
}

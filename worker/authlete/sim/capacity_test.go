package sim

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestRateIsLimited(t *testing.T) {
	t.Parallel()
	api := start(t, Options{})
	send := func(method, path, body string) reply {
		return request{method: method, path: path, body: body}.send(t, api.URL())
	}
	if got := send("PUT", "/sim/capacity", `{"PerSecond":0.1,"Stated":true}`); got.status != http.StatusOK { // one call in ten seconds
		t.Fatalf("status %d", got.status)
	}
	for i, want := range []struct {
		status     int
		retryAfter string
	}{{200, ""}, {429, "1"}} {
		got := logoutOf("s").send(t, api.URL())
		if got.status != want.status || got.header.Get("Retry-After") != want.retryAfter || got.header.Get("RateLimit-Policy") != `"default";q=1;w=10` {
			t.Errorf("call %d: status %d, header %v", i+1, got.status, got.header)
		}
	}
	send("PUT", "/sim/capacity", `{}`)
	if got := logoutOf("s").send(t, api.URL()); got.status != 200 || got.header.Get("RateLimit-Policy") != "" {
		t.Errorf("without a limit: status %d, header %v", got.status, got.header)
	}
	if calls := len(api.Session("s").Calls); calls != 2 || api.Calls() != 3 {
		t.Errorf("%d calls written down of %d, want 2 of 3: a refused one did not reach the API", calls, api.Calls())
	}
}

// TestServersAreShared: calls and what other users ask for take turns.
func TestServersAreShared(t *testing.T) {
	t.Parallel()
	const latency = 50 * time.Millisecond
	api := start(t, Options{Latency: latency})
	api.SetCapacity(Capacity{Servers: 1})
	began := time.Now()
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() {
			if got := (request{method: "GET", path: "/sim/other"}).send(t, api.URL()); got.status != 200 {
				t.Errorf("another user: status %d", got.status)
			}
		})
		working.Go(func() {
			if got := logoutOf("s").send(t, api.URL()); got.status != 200 {
				t.Errorf("a call: status %d", got.status)
			}
		})
	}
	working.Wait()
	if took := time.Since(began); took < 4*latency {
		t.Errorf("four requests of one server took %s, want at least %s", took, 4*latency)
	}
	if len(api.Sessions()) != 1 || api.Calls() != 2 {
		t.Errorf("%d sessions, %d calls, want 1 and 2: another user's requests are none", len(api.Sessions()), api.Calls())
	}
}

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
	checked := func(got reply, status int, retryAfter string) {
		t.Helper()
		if got.status != status || got.header.Get("Retry-After") != retryAfter || got.header.Get("RateLimit-Policy") != `"default";q=1;w=10` {
			t.Errorf("status %d, header %v, want %d", got.status, got.header, status)
		}
	}
	allowed, began := 0, time.Now()
	eventually(t, "a refused call", func() bool { // the second, unless ten seconds went by before it
		got := logoutOf("s").send(t, api.URL())
		if got.status == 429 && allowed > 0 {
			checked(got, 429, "1")
			return true
		}
		checked(got, 200, "")
		allowed++
		return t.Failed()
	})
	if took := time.Since(began); allowed > 1+int(took/(10*time.Second)) {
		t.Errorf("%d calls were allowed in %s", allowed, took)
	}
	send("PUT", "/sim/capacity", `{}`)
	if got := logoutOf("s").send(t, api.URL()); got.status != 200 || got.header.Get("RateLimit-Policy") != "" {
		t.Errorf("without a limit: status %d, header %v", got.status, got.header)
	}
	if calls := len(api.Session("s").Calls); calls != allowed+1 || api.Calls() != allowed+2 {
		t.Errorf("%d calls written down of %d, want %d of %d: a refused one did not reach the API", calls, api.Calls(), allowed+1, allowed+2)
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

package receive

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"revoker/config"
	"revoker/internal/testproc"
)

// slow is a request whose body is not sent yet, so it is in work.
type slow struct {
	t    *testing.T
	conn net.Conn
	body string
}

func (s *site) slow(session string) *slow {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Address())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	body := fmt.Sprintf(`{"sessionId":%q}`, session)
	_, err = fmt.Fprintf(conn, "POST /events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", token, len(body))
	if err != nil {
		s.t.Fatal(err)
	}
	testproc.WaitFor(s.t, "the request in work", func() bool { return len(s.server.eventSlots) == 1 })
	return &slow{s.t, conn, body}
}

// finish sends the body, and returns the status of the answer.
func (s *slow) finish() int {
	s.t.Helper()
	if _, err := io.WriteString(s.conn, s.body); err != nil {
		s.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(s.conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestOnlySoManyRequestsAreInWork(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *config.Config) { cfg.Receive.Concurrency = 1 })
	first := s.slow("a")
	if r := s.events(`{"sessionId":"b"}`); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%+v", r)
	}
	if r := s.logout(s.issuer.Token("c")); r.status != http.StatusOK {
		t.Errorf("the other endpoint suffers: %+v", r)
	}
	if status := first.finish(); status != http.StatusAccepted {
		t.Errorf("got %d", status)
	}
	testproc.WaitFor(t, "the slot", func() bool { return s.events(`{"sessionId":"b"}`).status == http.StatusAccepted })
	s.has(3)
	s.counts("revoker_receive_requests_in_work", "0")
	if text := s.scrape(); !strings.Contains(text, "\nrevoker_receive_overloaded_total ") || strings.Contains(text, "\nrevoker_receive_overloaded_total 0\n") {
		t.Error(text)
	}
}

// Large bodies take much memory while they are in work. They do not keep small ones out.
func TestFewLargeBodiesAreInWork(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for range largeAtOnce {
		s.server.largeSlots <- struct{}{}
	}
	const batch = "Content-Type: application/cloudevents-batch+json"
	large := "[" + cloudEvent("a") + strings.Repeat(" ", largeBody) + "]"
	if r := s.events(large, batch); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" {
		t.Errorf("one too many: %+v", r)
	}
	if r := s.events("["+cloudEvent("b")+"]", batch); r.status != http.StatusAccepted {
		t.Errorf("a small one: %+v", r)
	}
	s.server.patience = testproc.Timeout // or this test would have to be quick
	waiting := make(chan reply)
	go func() { waiting <- s.events(large, batch) }()
	testproc.WaitFor(t, "the request", func() bool { return len(s.server.eventSlots) == 1 })
	<-s.server.largeSlots
	if r := <-waiting; r.status != http.StatusAccepted {
		t.Errorf("one that waits: %+v", r)
	}
}

// Anyone may send a body slowly. That does not keep those out who send theirs at once.
func TestSlowSendersOfLogoutTokensKeepNobodyOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *config.Config) { cfg.Receive.Concurrency = 1 })
	for n := range readersPerSlot {
		if r := s.logout(s.issuer.Token(fmt.Sprint(n))); r.status != http.StatusOK {
			t.Errorf("beside %d slow senders: %+v", n, r)
		}
		conn, err := net.Dial("tcp", s.server.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /backchannel-logout HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		testproc.WaitFor(t, "the request", func() bool { return len(s.server.logoutReaders) == n+1 })
	}
	if r := s.logout(s.issuer.Token("more")); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" {
		t.Errorf("those who read are not bounded: %+v", r)
	}
	s.has(readersPerSlot)
}

// What is in work when the process is told to end is answered. What comes later is not taken.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	first := s.slow("a")
	s.stop()
	testproc.WaitFor(t, "readiness to end", func() bool {
		status, body := s.ops("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "draining")
	})
	testproc.WaitFor(t, "the listener to close", func() bool {
		conn, err := net.Dial("tcp", s.server.Address())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if status := first.finish(); status != http.StatusAccepted {
		t.Errorf("got %d", status)
	}
	s.has(1)
}

// A request that does not end does not keep the process from ending.
func TestTheDrainTimeoutEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *config.Config) { cfg.DrainTimeout = 0 })
	s.slow("a")
	s.stop() // the site's cleanup waits for it
	s.has(0)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	if status, body := s.ops("/livez"); status != 200 || body != "ok\n" {
		t.Errorf("%d %s", status, body)
	}
	ready := func() string {
		status, body := s.ops("/readyz")
		return fmt.Sprint(status, " ", body)
	}
	const good = `200 {"ready":true,"conditions":[{"name":"nats","ok":true},{"name":"serving","ok":true}],"warnings":[]}` + "\n"
	testproc.WaitFor(t, "the keys", func() bool { return ready() == good })
	s.limitMessages(1)
	s.events(`{"sessionId":"a"}`)
	s.events(`{"sessionId":"b"}`)
	if have := ready(); !strings.HasPrefix(have, "200 ") || !strings.Contains(have, `"name":"stream","reason":"the last signal was not stored: `) {
		t.Error(have)
	}
	s.limitMessages(-1)
	s.events(`{"sessionId":"b"}`)
	if have := ready(); have != good {
		t.Error(have)
	}
	s.Server.Shutdown()
	testproc.WaitFor(t, "the disconnection", func() bool { return strings.HasPrefix(ready(), "503 ") })
	s.counts("revoker_receive_nats_connected", "0")
	if status, _ := s.ops("/livez"); status != 200 {
		t.Error("a restart would not help")
	}
}

// Senders reach nothing that is for operators, and the other way around.
func TestTheListenersServeNothingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for _, c := range []struct {
		address, method, path string
		status                int
	}{
		{s.server.Address(), "GET", "/metrics", 404}, {s.server.Address(), "GET", "/readyz", 404}, {s.server.Address(), "GET", "/", 404},
		{s.server.Address(), "GET", "/events", 405}, {s.server.Address(), "GET", "/backchannel-logout", 405},
		{s.server.OpsAddress(), "POST", "/events", 404}, {s.server.OpsAddress(), "POST", "/backchannel-logout", 404},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+c.address+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r := s.do(request); r.status != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, r.status, c.status)
		}
	}
}

func TestATakenPortIsAnErrorAtStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for _, change := range []func(*config.Config){
		func(cfg *config.Config) { cfg.Receive.Addr = s.server.Address() },
		func(cfg *config.Config) { cfg.Receive.OpsAddr = s.server.Address() },
	} {
		cfg := s.Cfg
		change(&cfg)
		if _, err := s.create(cfg); err == nil || !strings.Contains(err.Error(), "REVOKER_RECEIVE_") {
			t.Errorf("got %v", err)
		}
	}
}
